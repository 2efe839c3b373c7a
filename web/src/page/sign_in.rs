use crate::{
    error::{Answer, Refusal},
    form::{Posted, Proof},
    i18n::Lang,
    page::{self, Frame},
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
pub async fn show(visitor: Visitor, lang: Lang) -> Response {
    form(&visitor, lang, StatusCode::OK, String::new(), None)
}

/// The page of a link. Programs that look through mail open links, so opening it does nothing: its button
/// does.
pub async fn link(visitor: Visitor, lang: Lang, Path(token): Path<String>) -> Response {
    let frame = frame(&visitor);
    let page = LinkPage {
        t: lang,
        frame,
        token,
    };
    page::html(lang, StatusCode::OK, &page)
}

/// Signs somebody in, by a link's token or by an address and its code.
pub async fn submit(posted: Posted) -> Answer {
    let proof = Proof::read(posted.fields.clone()).ok_or_else(|| posted.bad())?;
    let Posted { visitor, lang, .. } = posted;
    let (daemon, client) = (&visitor.daemon, &visitor.client);
    let (redeemed, email) = match proof {
        Proof::Link { token } => (daemon.redeem_token(&token, client).await, String::new()),
        Proof::Code { email, code } => (daemon.redeem_code(&email, &code, client).await, email),
    };
    match redeemed {
        Ok((session, _)) => to("/", visitor.cookie.keep(&session)),
        Err(error) if error.kind == Kind::SignedOut => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(form(&visitor, lang, status, email, Some(error)))
        }
        Err(error) => Err(Refusal(lang, error.into())),
    }
}

/// Ends the session.
pub async fn sign_out(posted: Posted) -> Answer {
    let [everywhere] = posted.values(["everywhere"])?;
    let visitor = &posted.visitor;
    let ended = visitor.daemon.sign_out(everywhere.is_some()).await;
    ended.map_err(|err| Refusal(posted.lang, err.into()))?;
    to(PATH, visitor.cookie.clear())
}

fn to<E>(path: &str, cookie: Result<HeaderValue, E>) -> Answer {
    match cookie {
        Ok(cookie) => Ok(([(SET_COOKIE, cookie)], Redirect::to(path)).into_response()),
        Err(_) => Ok(StatusCode::BAD_GATEWAY.into_response()),
    }
}

fn form(
    visitor: &Visitor,
    t: Lang,
    status: StatusCode,
    email: String,
    error: Option<Error>,
) -> Response {
    let wrong = error.map(|error| printable(&error.message));
    let page = SignInPage {
        t,
        frame: frame(visitor),
        email,
        wrong,
    };
    page::html(t, status, &page)
}

/// These pages do not ask whose session it is: it may have ended.
fn frame(visitor: &Visitor) -> Frame {
    Frame {
        person: None,
        form: visitor.form_token(),
        has_address: true,
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    t: Lang,
    frame: Frame,
    email: String,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in_link.html")]
struct LinkPage {
    t: Lang,
    frame: Frame,
    token: String,
}
