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
use cid_client::{BuildState, Job, JobState};
use futures::future;
use serde::Deserialize;
use std::collections::HashMap;

/// How far back the page goes.
const JOBS: usize = 1000;
const ROWS: usize = 50;
/// Of how many builds it knows the verdict.
const BUILDS: usize = 500;
/// Of how many jobs at work the page asks what they wait for.
const ASKED: usize = 32;

/// Which jobs.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// About what: a part of an address, of a stage's name or of a project's.
    #[serde(default)]
    q: String,
    /// Only those that did not do what they were begun for.
    failed: Option<String>,
    /// Counted from 1.
    #[serde(default)]
    page: usize,
}

/// Shows jobs: those at work and stuck ones first, with what they wait for.
pub async fn show(visitor: Visitor, lang: Lang, Query(wanted): Query<Wanted>) -> Answer {
    let frame = frame(&visitor, lang).await?;
    let told = future::try_join(
        visitor.daemon.jobs(None, None, JOBS),
        visitor.daemon.builds(None, BUILDS),
    );
    let (mut jobs, builds) = told.await.map_err(|err| Refusal(lang, err.into()))?;
    // A job that made a build is done, whatever the tests say.
    let verdicts = builds.into_iter().map(|build| (build.job, build.state));
    let verdicts: HashMap<String, BuildState> = verdicts.collect();
    jobs.retain(|job| wanted.has(job, verdicts.get(&job.id)));
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
        verdicts,
        wanted,
        at_work,
        rows,
        number,
        pages,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

impl Wanted {
    fn has(&self, job: &Job, verdict: Option<&BuildState>) -> bool {
        let q = self.q.trim().to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&q);
        let is_found = holds(&job.email) || holds(&job.name) || holds(&job.project);
        let is_bad = matches!(
            job.state,
            JobState::Undone | JobState::Cancelled | JobState::Stuck
        );
        let is_red = matches!(verdict, Some(BuildState::Failed | BuildState::Error));
        is_found && (self.failed.is_none() || is_bad || is_red)
    }

    fn at_page(&self, page: usize) -> String {
        let failed = match self.failed {
            Some(_) => "&failed=yes",
            None => "",
        };
        format!("?q={}{failed}&page={page}", page::segment(self.q.trim()))
    }
}

#[derive(Template)]
#[template(path = "admin/jobs.html")]
struct JobsPage {
    t: Lang,
    frame: Frame,
    wanted: Wanted,
    /// What came of builds, by their job.
    verdicts: HashMap<String, BuildState>,
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
        self.wanted.at_page(page)
    }
}
