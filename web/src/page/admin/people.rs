//! `/admin/people`: who is signed in. Links are sent by mail or made by `cictl`: a front that sees them could be everybody.

use super::frame;
use crate::{
    error::{Answer, Refusal},
    form::Posted,
    i18n::Lang,
    page::{self, Frame},
    text::printable,
    visitor::Visitor,
};
use askama::Template;
use axum::{extract::Query, http::StatusCode};
use cid_client::SignedIn;
use futures::future;
use serde::Deserialize;

/// Where the page is.
const PATH: &str = "/admin/people";

/// What was done a moment ago.
#[derive(Debug, Default, Deserialize)]
pub struct Done {
    /// A link was asked for, for this address.
    sent: Option<String>,
    /// This address was signed out.
    signed_out: Option<String>,
}

/// Shows who is signed in.
pub async fn show(visitor: Visitor, lang: Lang, Query(done): Query<Done>) -> Answer {
    let frame = frame(&visitor, lang).await?;
    let told = future::try_join(visitor.daemon.signed_in(), visitor.public.who_am_i());
    let (people, visit) = told.await.map_err(|err| Refusal(lang, err.into()))?;
    let page = PeoplePage {
        t: lang,
        frame,
        people,
        can_mail: visit.can_mail,
        sent: done.sent.map(|email| printable(&email)),
        signed_out: done.signed_out.map(|email| printable(&email)),
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

/// Ends all sessions of an address.
pub async fn sign_out(posted: Posted) -> Answer {
    let [email] = posted.values(["email"])?;
    let email = email.ok_or_else(|| posted.bad())?;
    let ended = posted.visitor.daemon.end_sessions(&email).await;
    ended.map_err(|err| Refusal(posted.lang, err.into()))?;
    let email = page::segment(&email);
    Ok(page::to(&format!("{PATH}?signed_out={email}")))
}

/// Has a link sent to an address. The front never sees it: one that was taken over could be everybody.
pub async fn link(posted: Posted) -> Answer {
    let [email] = posted.values(["email"])?;
    let email = email.ok_or_else(|| posted.bad())?;
    let (visitor, lang) = (&posted.visitor, posted.lang);
    frame(visitor, lang).await?;
    let asked = visitor
        .public
        .ask_for_link(&email, &visitor.client, lang.code());
    asked.await.map_err(|err| Refusal(lang, err.into()))?;
    let email = page::segment(&email);
    Ok(page::to(&format!("{PATH}?sent={email}")))
}

#[derive(Template)]
#[template(path = "admin/people.html")]
struct PeoplePage {
    t: Lang,
    frame: Frame,
    people: Vec<SignedIn>,
    /// Links can be sent.
    can_mail: bool,
    sent: Option<String>,
    signed_out: Option<String>,
}

impl PeoplePage {
    /// Which of the pages it is.
    fn at(&self) -> &'static str {
        PATH
    }
}
