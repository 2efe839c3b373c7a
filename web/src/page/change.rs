use crate::{
    error::{Answer, Problem, Refusal},
    form::Posted,
    i18n::Lang,
    page::{self, Frame, act, delivery},
    text::printable,
    visitor::Visitor,
};
use askama::Template;
use axum::{
    extract::{Path, Query},
    http::StatusCode,
};
use cid_client::{Kind, Preview};
use serde::Deserialize;

/// What a page about a stage is asked.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// Which build; the one that the daemon would take where it is not said.
    build: Option<u32>,
    /// Also one that is older than what runs.
    older: Option<String>,
}

type Of = Path<(String, String)>;

/// Shows what a promotion would change, and asks administrators for it.
pub async fn ask_promote(visitor: Visitor, lang: Lang, of: Of, wanted: Query<Wanted>) -> Answer {
    ask(visitor, lang, of, wanted, false).await
}

/// The same for a rollback.
pub async fn ask_roll_back(visitor: Visitor, lang: Lang, of: Of, wanted: Query<Wanted>) -> Answer {
    ask(visitor, lang, of, wanted, true).await
}

async fn ask(
    visitor: Visitor,
    lang: Lang,
    Path((project, stage)): Of,
    Query(wanted): Query<Wanted>,
    back: bool,
) -> Answer {
    let frame = Frame::of(&visitor, lang).await?;
    let older = wanted.older.is_some();
    let told = visitor
        .daemon
        .preview(Some(&project), &stage, wanted.build, back, older)
        .await
        .map_err(|err| Refusal(lang, missing(err)))?;
    let page = ChangePage {
        t: lang,
        title: lang.change_title(back, told.build, &printable(&stage)),
        project_path: delivery::path(&project),
        may_act: frame.is_administrator(),
        is_older: told.running.is_some_and(|running| running > told.build) && !back,
        frame,
        project,
        back,
        told,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

/// Has a build run in a stage, and leads to the job.
pub async fn promote(Path((project, stage)): Of, posted: Posted) -> Answer {
    let [build, older] = posted.values(["build", "older"])?;
    let build = number(&posted, build)?;
    let daemon = &posted.visitor.daemon;
    let begun = daemon
        .promote(Some(&project), &stage, Some(build), older.is_some())
        .await;
    let begun = begun.map_err(|err| Refusal(posted.lang, missing(err)))?;
    Ok(act::to_job(&begun.job))
}

/// Has a build run in a stage again that ran there before, and leads to the job.
pub async fn roll_back(Path((project, stage)): Of, posted: Posted) -> Answer {
    let [build] = posted.values(["build"])?;
    let build = number(&posted, build)?;
    let daemon = &posted.visitor.daemon;
    let begun = daemon.roll_back(Some(&project), &stage, Some(build)).await;
    let begun = begun.map_err(|err| Refusal(posted.lang, missing(err)))?;
    Ok(act::to_job(&begun.job))
}

/// The page has shown one build; another one is not taken in its place.
fn number(posted: &Posted, build: Option<String>) -> Result<u32, Refusal> {
    let build = build.and_then(|build| build.parse().ok());
    build
        .filter(|number| *number > 0)
        .ok_or_else(|| posted.bad())
}

fn missing(error: cid_client::Error) -> Problem {
    match error.kind {
        Kind::NotFound => Problem::Missing(Box::new(error)),
        _ => error.into(),
    }
}

#[derive(Template)]
#[template(path = "change.html")]
struct ChangePage {
    t: Lang,
    frame: Frame,
    title: String,
    project: String,
    project_path: String,
    may_act: bool,
    /// A rollback is meant.
    back: bool,
    is_older: bool,
    told: Preview,
}
