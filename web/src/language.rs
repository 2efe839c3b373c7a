use crate::i18n::Lang;
use axum::{
    extract::Request,
    http::{Method, header::SET_COOKIE},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

/// Takes `?lang=ru` of any page: keeps the choice in the browser and leads to the page itself. What else the
/// address asks for is kept.
pub async fn choose(request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let (chosen, others): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|pair| pair.starts_with("lang="));
    let code = chosen.last().and_then(|pair| pair.strip_prefix("lang="));
    let Some(lang) = code.and_then(Lang::by_code) else {
        return next.run(request).await;
    };
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    // Two slashes at the beginning, either way, would lead to another site.
    let mut to = format!("/{}", request.uri().path().trim_start_matches(['/', '\\']));
    let others = others.join("&");
    if !others.is_empty() {
        to.push('?');
        to.push_str(&others);
    }
    ([(SET_COOKIE, lang.cookie())], Redirect::to(&to)).into_response()
}
