//! `/admin/health`: what the doctor finds on the machine.

use super::frame;
use crate::{
    error::{Answer, Refusal},
    i18n::Lang,
    page::{self, Frame},
    visitor::Visitor,
};
use askama::Template;
use axum::http::StatusCode;
use cid_client::{Finding, FindingKind};

/// Shows what the doctor finds, with the line that mends it. Nothing is mended here.
pub async fn show(visitor: Visitor, lang: Lang) -> Answer {
    let frame = frame(&visitor, lang).await?;
    let found = visitor.daemon.doctor(false).await;
    let found = found.map_err(|err| Refusal(lang, err.into()))?;
    let (notes, faults) = found
        .into_iter()
        .partition(|one| one.kind == FindingKind::Note);
    let page = HealthPage {
        t: lang,
        frame,
        faults,
        notes,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "admin/health.html")]
struct HealthPage {
    t: Lang,
    frame: Frame,
    faults: Vec<Finding>,
    notes: Vec<Finding>,
}

impl HealthPage {
    /// Which of the pages it is.
    fn at(&self) -> &'static str {
        "/admin/health"
    }
}
