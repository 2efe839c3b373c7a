//! `/admin/people`: who is signed in, and links to sign in.

use super::frame;
use crate::{
    error::{Answer, Refusal},
    form::Posted,
    i18n::Lang,
    page::{self, Frame},
    visitor::Visitor,
};
use askama::Template;
use axum::http::StatusCode;
use cid_client::{Link, SignedIn};

/// Where the page is.
const PATH: &str = "/admin/people";

/// Shows who is signed in.
pub async fn show(visitor: Visitor, lang: Lang) -> Answer {
    render(&visitor, lang, None).await
}

/// Ends all sessions of an address.
pub async fn sign_out(posted: Posted) -> Answer {
    let [email] = posted.values(["email"])?;
    let email = email.ok_or_else(|| posted.bad())?;
    let ended = posted.visitor.daemon.end_sessions(&email).await;
    ended.map_err(|err| Refusal(posted.lang, err.into()))?;
    Ok(page::to(PATH))
}

/// Makes a link with which its bearer signs in, to hand over.
pub async fn link(posted: Posted) -> Answer {
    let [email] = posted.values(["email"])?;
    let email = email.ok_or_else(|| posted.bad())?;
    let link = posted.visitor.daemon.link(&email).await;
    let link = link.map_err(|err| Refusal(posted.lang, err.into()))?;
    render(&posted.visitor, posted.lang, Some((email, link))).await
}

async fn render(visitor: &Visitor, lang: Lang, link: Option<(String, Link)>) -> Answer {
    let mut frame = frame(visitor, lang).await?;
    frame.has_address = link.is_none();
    let people = visitor.daemon.signed_in().await;
    let people = people.map_err(|err| Refusal(lang, err.into()))?;
    let page = PeoplePage {
        t: lang,
        frame,
        people,
        link,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "admin/people.html")]
struct PeoplePage {
    t: Lang,
    frame: Frame,
    people: Vec<SignedIn>,
    /// A link that was just made, and for whom.
    link: Option<(String, Link)>,
}

impl PeoplePage {
    /// Which of the pages it is.
    fn at(&self) -> &'static str {
        PATH
    }
}
