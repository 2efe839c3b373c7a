//! `/admin/jobs`: what is at work, what is stuck, and what was done.

use super::{frame, part};
use crate::{
    error::{Answer, Refusal},
    i18n::Lang,
    page::{self, Frame},
    visitor::Visitor,
};
use askama::Template;
use axum::{extract::Query, http::StatusCode};
use cid_client::{Job, JobState};
use futures::future;
use serde::Deserialize;

/// How far back the page goes.
const JOBS: usize = 1000;
const ROWS: usize = 50;
/// Of how many jobs at work the page asks what they wait for.
const ASKED: usize = 32;

/// Which part of the list.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// Counted from 1.
    #[serde(default)]
    page: usize,
}

/// Shows jobs: those at work and stuck ones first, with what they wait for.
pub async fn show(visitor: Visitor, lang: Lang, Query(wanted): Query<Wanted>) -> Answer {
    let frame = frame(&visitor, lang).await?;
    let jobs = visitor.daemon.jobs(None, None, JOBS).await;
    let jobs = jobs.map_err(|err| Refusal(lang, err.into()))?;
    let (open, ended): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| !job.state.is_ended());
    let look = |job: Job| async {
        match visitor.daemon.job(&job.id).await {
            Ok(whole) => whole,
            Err(_) => job,
        }
    };
    let mut open = open.into_iter();
    let asked: Vec<Job> = open.by_ref().take(ASKED).collect();
    let mut at_work = future::join_all(asked.into_iter().map(look)).await;
    at_work.extend(open);
    let (rows, number, pages) = part(ended, wanted.page, ROWS);
    let page = JobsPage {
        t: lang,
        frame,
        at_work,
        rows,
        number,
        pages,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "admin/jobs.html")]
struct JobsPage {
    t: Lang,
    frame: Frame,
    /// Those that have not ended.
    at_work: Vec<Job>,
    rows: Vec<Job>,
    number: usize,
    pages: usize,
}

impl JobsPage {
    /// Which of the pages it is.
    fn at(&self) -> &'static str {
        "/admin/jobs"
    }

    fn page_link(&self, page: usize) -> String {
        format!("?page={page}")
    }
}
