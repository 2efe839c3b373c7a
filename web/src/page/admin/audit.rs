//! `/admin/audit`: who did what.

use super::{frame, part};
use crate::{
    error::{Answer, Refusal},
    i18n::Lang,
    page::{self, Frame},
    text::printable,
    visitor::Visitor,
};
use askama::Template;
use axum::{extract::Query, http::StatusCode};
use cid_client::{AuditLine, Decision};
use serde::Deserialize;

/// How far back the page goes; `cictl audit` goes further.
const LINES: usize = 1000;
const ROWS: usize = 100;

/// Which lines.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// Of this account or address, or about it.
    #[serde(default)]
    q: String,
    /// Only what was denied.
    denied: Option<String>,
    /// Counted from 1.
    #[serde(default)]
    page: usize,
}

/// Shows the audit log, newest first.
pub async fn show(visitor: Visitor, lang: Lang, Query(wanted): Query<Wanted>) -> Answer {
    let frame = frame(&visitor, lang).await?;
    let lines = visitor.daemon.audit(None, LINES).await;
    let mut lines = lines.map_err(|err| Refusal(lang, err.into()))?;
    let q = wanted.q.trim().to_lowercase();
    lines.retain(|line| {
        let texts = [
            line.account.as_deref(),
            line.email.as_deref(),
            line.project.as_deref(),
        ];
        let is_found = |text: &str| text.to_lowercase().contains(&q);
        (q.is_empty() || texts.into_iter().flatten().any(is_found))
            && (wanted.denied.is_none() || line.decision == Decision::Denied)
    });
    let (rows, number, pages) = part(lines, wanted.page, ROWS);
    let page = AuditPage {
        t: lang,
        frame,
        rows,
        number,
        pages,
        wanted,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

impl Wanted {
    fn at_page(&self, page: usize) -> String {
        let denied = if self.denied.is_some() {
            "&denied=yes"
        } else {
            ""
        };
        format!("?q={}{denied}&page={page}", page::segment(self.q.trim()))
    }
}

/// An RPC without its package, e.g. `Workspaces/Restart`.
fn called(rpc: &str) -> String {
    let name = rpc.trim_start_matches('/');
    printable(name.rsplit_once("v1.").map_or(name, |(_, name)| name))
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    t: Lang,
    frame: Frame,
    wanted: Wanted,
    rows: Vec<AuditLine>,
    number: usize,
    pages: usize,
}

impl AuditPage {
    /// Which of the pages it is.
    fn at(&self) -> &'static str {
        "/admin/audit"
    }

    fn page_link(&self, page: usize) -> String {
        self.wanted.at_page(page)
    }
}
