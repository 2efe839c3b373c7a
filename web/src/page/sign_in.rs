use crate::{
    error::{Answer, Problem, Refusal},
    form::{Fields, Proof},
    i18n::Lang,
    page,
    text::printable,
    visitor::Visitor,
};
use askama::Template;
use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header::SET_COOKIE},
    response::{IntoResponse, Redirect, Response},
};
use cid_client::{Error, Kind};

/// Where people sign in.
pub const PATH: &str = "/sign-in";

/// Shows the form for an address and its code.
pub async fn show(lang: Lang) -> Response {
    form(lang, StatusCode::OK, String::new(), None)
}

/// The page of a link. Programs that look through mail open links, so opening it does nothing: its button
/// does.
pub async fn link(lang: Lang, Path(token): Path<String>) -> Response {
    page::html(lang, StatusCode::OK, &LinkPage { t: lang, token })
}

/// Signs somebody in, by a link's token or by an address and its code.
pub async fn submit(visitor: Visitor, lang: Lang, fields: Fields) -> Answer {
    let bad_form = |status| Refusal(lang, Problem::BadForm(status));
    let fields = fields.map_err(|err| bad_form(err.status()))?;
    let proof = Proof::read(fields.0).ok_or_else(|| bad_form(StatusCode::BAD_REQUEST))?;
    let (daemon, client) = (&visitor.daemon, &visitor.client);
    let (redeemed, email) = match proof {
        Proof::Link { token } => (daemon.redeem_token(&token, client).await, String::new()),
        Proof::Code { email, code } => (daemon.redeem_code(&email, &code, client).await, email),
    };
    match redeemed {
        Ok((session, _)) => to("/", visitor.cookie.keep(&session)),
        Err(error) if error.kind == Kind::SignedOut => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(form(lang, status, email, Some(error)))
        }
        Err(error) => Err(Refusal(lang, error.into())),
    }
}

/// Ends the session.
pub async fn sign_out(visitor: Visitor, lang: Lang) -> Answer {
    let ended = visitor.daemon.sign_out(false).await;
    ended.map_err(|err| Refusal(lang, err.into()))?;
    to(PATH, visitor.cookie.clear())
}

fn to<E>(path: &str, cookie: Result<HeaderValue, E>) -> Answer {
    match cookie {
        Ok(cookie) => Ok(([(SET_COOKIE, cookie)], Redirect::to(path)).into_response()),
        Err(_) => Ok(StatusCode::BAD_GATEWAY.into_response()),
    }
}

fn form(t: Lang, status: StatusCode, email: String, error: Option<Error>) -> Response {
    let wrong = error.map(|error| printable(&error.message));
    page::html(t, status, &SignInPage { t, email, wrong })
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    t: Lang,
    email: String,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in_link.html")]
struct LinkPage {
    t: Lang,
    token: String,
}
