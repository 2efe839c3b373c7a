use crate::{
    error::{Answer, Refusal},
    form::{Posted, Proof},
    i18n::Lang,
    page::{self, Frame},
    text::printable,
    visitor::Visitor,
    wanted,
};
use askama::Template;
use axum::{
    extract::{Path, Query},
    http::{HeaderMap, HeaderValue, StatusCode, header::SET_COOKIE},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use cid_client::Kind;
use serde::Deserialize;

/// Where people sign in.
pub const PATH: &str = "/sign-in";
/// The same, for those who were signed in a moment ago.
pub const ENDED: &str = "/sign-in?ended=yes";
/// The same, once a link is on its way.
const SENT: &str = "/sign-in?sent=yes";

/// What the page is asked.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// The visitor's session has ended.
    ended: Option<String>,
    /// A link is on its way to the address that the browser keeps.
    sent: Option<String>,
}

/// Shows the form for an address and its code.
pub async fn show(
    visitor: Visitor,
    lang: Lang,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let sent_to = asked.sent.and_then(|_| wanted::address(&headers));
    let again = Again {
        is_sent: sent_to.is_some(),
        email: sent_to.unwrap_or_default(),
        has_ended: asked.ended.is_some(),
        ..Again::default()
    };
    form(&visitor, lang, StatusCode::OK, again).await
}

/// Has a link sent, if the address may sign in. The page is the same if it may not.
pub async fn ask(posted: Posted) -> Answer {
    let [email] = posted.values(["email"])?;
    let email = email.ok_or_else(|| posted.bad())?;
    let Posted { visitor, lang, .. } = posted;
    let asked = visitor
        .public
        .ask_for_link(&email, &visitor.client, lang.code());
    match asked.await {
        // The page that says so is another one: to load it again asks for nothing.
        Ok(()) => Ok(to(SENT, wanted::keep_address(&email))),
        Err(error) if error.kind == Kind::Invalid => {
            let wrong = match lang {
                Lang::En => printable(&error.message),
                Lang::Ru => lang.invalid_email().to_owned(),
            };
            let again = Again {
                email,
                wrong_address: Some(wrong),
                ..Again::default()
            };
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(form(&visitor, lang, status, again).await)
        }
        Err(error) => Err(Refusal(lang, error.into())),
    }
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
    // Not on behalf of the browser's present session, which may have ended.
    let (daemon, client) = (&visitor.public, &visitor.client);
    let (redeemed, email) = match proof {
        Proof::Link { token } => (daemon.redeem_token(&token, client).await, String::new()),
        Proof::Code { email, code } => (daemon.redeem_code(&email, &code, client).await, email),
    };
    match redeemed {
        Ok((session, _)) => {
            // Signing in ends the session that was here before: it would be good for long.
            if visitor.session.is_some() {
                let _ = visitor.daemon.sign_out(false).await;
            }
            // Where they were on their way to.
            let path = visitor.wanted.as_deref().unwrap_or("/");
            let cookies = [visitor.cookie.keep(&session).ok(), wanted::forget()];
            Ok(to(path, cookies.into_iter().flatten()))
        }
        Err(error) if error.kind == Kind::SignedOut => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let wrong = match lang {
                Lang::En => printable(&error.message),
                Lang::Ru => lang.not_good().to_owned(),
            };
            Ok(form(&visitor, lang, status, Again::wrong(email, wrong)).await)
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
    Ok(to(PATH, visitor.cookie.clear().ok()))
}

fn to(path: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let cookies = cookies.into_iter().map(|cookie| (SET_COOKIE, cookie));
    (AppendHeaders(cookies), Redirect::to(path)).into_response()
}

/// What is put into the form when it is shown again.
#[derive(Default)]
struct Again {
    email: String,
    /// A link has been asked for.
    is_sent: bool,
    /// They were signed in a moment ago.
    has_ended: bool,
    /// Why no link can be sent to the address.
    wrong_address: Option<String>,
    /// Why the code signs nobody in.
    wrong: Option<String>,
}

impl Again {
    fn wrong(email: String, wrong: String) -> Self {
        Self {
            email,
            wrong: Some(wrong),
            ..Self::default()
        }
    }
}

async fn form(visitor: &Visitor, t: Lang, status: StatusCode, again: Again) -> Response {
    let visit = visitor.public.who_am_i().await;
    let page = SignInPage {
        t,
        frame: frame(visitor),
        // Where the daemon cannot be asked, the next request says so.
        can_mail: visit.is_ok_and(|visit| visit.can_mail),
        email: again.email,
        is_sent: again.is_sent,
        has_ended: again.has_ended,
        wrong_address: again.wrong_address,
        wrong: again.wrong,
    };
    page::html(t, status, &page)
}

/// These pages do not ask whose session it is: it may have ended.
fn frame(visitor: &Visitor) -> Frame {
    Frame {
        person: None,
        form: visitor.form_token(),
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    t: Lang,
    frame: Frame,
    /// A link can be sent by mail.
    can_mail: bool,
    is_sent: bool,
    has_ended: bool,
    email: String,
    wrong_address: Option<String>,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in_link.html")]
struct LinkPage {
    t: Lang,
    frame: Frame,
    token: String,
}
