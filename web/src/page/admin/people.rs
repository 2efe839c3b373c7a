//! `/admin/people`: who is signed in. Links are made by `cictl` alone: a front that makes them could be everybody.

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
use cid_client::SignedIn;

/// Where the page is.
const PATH: &str = "/admin/people";

/// Shows who is signed in.
pub async fn show(visitor: Visitor, lang: Lang) -> Answer {
    let frame = frame(&visitor, lang).await?;
    let people = visitor.daemon.signed_in().await;
    let people = people.map_err(|err| Refusal(lang, err.into()))?;
    let page = PeoplePage {
        t: lang,
        frame,
        people,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

/// Ends all sessions of an address.
pub async fn sign_out(posted: Posted) -> Answer {
    let [email] = posted.values(["email"])?;
    let email = email.ok_or_else(|| posted.bad())?;
    let ended = posted.visitor.daemon.end_sessions(&email).await;
    ended.map_err(|err| Refusal(posted.lang, err.into()))?;
    Ok(page::to(PATH))
}

#[derive(Template)]
#[template(path = "admin/people.html")]
struct PeoplePage {
    t: Lang,
    frame: Frame,
    people: Vec<SignedIn>,
}

impl PeoplePage {
    /// Which of the pages it is.
    fn at(&self) -> &'static str {
        PATH
    }
}
