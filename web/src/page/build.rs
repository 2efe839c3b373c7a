use crate::{
    ansi::{self, Piece},
    error::{Answer, Problem, Refusal},
    i18n::Lang,
    page::{self, Frame, delivery},
    visitor::Visitor,
};
use askama::Template;
use axum::{
    extract::{Path, Query},
    http::StatusCode,
};
use cid_client::{Build, BuildState, FailedDeployment, Stage};
use futures::{StreamExt, future};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::timeout;

/// How much of what the tests printed is read for the page; its end is shown.
const READ: usize = 2 << 20;
/// How many lines are shown.
const LINES: usize = 500;
/// How long reading it may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Where a build's page is.
pub fn path(project: &str, number: u32) -> String {
    format!("{}/builds/{number}", delivery::path(project))
}

/// Why the page is shown.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// The commit was to be built, and is built already.
    known: Option<String>,
}

/// Shows a build: its commit, its verdict, the tests that failed and what they printed.
pub async fn show(
    visitor: Visitor,
    lang: Lang,
    Path((project, number)): Path<(String, u32)>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let frame = Frame::of(&visitor, lang).await?;
    let daemon = &visitor.daemon;
    let of = Some(project.as_str());
    let found = future::try_join(daemon.show_build(of, number), daemon.stages(of)).await;
    let (build, stages) =
        found.map_err(|err| Refusal(lang, Problem::or_missing(err, Problem::NoBuild)))?;
    let may_act = frame.is_administrator();
    let output = match is_tested(&build) || build.state == BuildState::Error {
        true => output(&visitor, &build).await,
        false => Vec::new(),
    };
    let of_this = |stage: &Stage| {
        let failed = stage.failed_deployment.clone()?;
        (failed.build == Some(build.id)).then(|| (stage.name.clone(), failed))
    };
    let failed = stages.iter().filter_map(of_this).collect();
    let may_go = |stage: &Stage| build.eligible.contains(&stage.name);
    let to = stages.into_iter().filter(may_go);
    let to = to.map(|stage| Way {
        older: stage.build.is_some_and(|running| running > build.id),
        path: format!(
            "{}/stages/{}/promote",
            delivery::path(&stage.project),
            page::segment(&stage.name)
        ),
        name: stage.name,
    });
    let page = BuildPage {
        t: lang,
        project_path: delivery::path(&build.project),
        to: to.collect(),
        failed,
        is_live: is_live(&build),
        is_known: wanted.known.is_some(),
        may_act,
        frame,
        build,
        output,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

/// Whether a job makes or tests it now.
pub fn is_live(build: &Build) -> bool {
    matches!(
        build.state,
        BuildState::Queued | BuildState::Building | BuildState::Testing
    )
}

fn is_tested(build: &Build) -> bool {
    matches!(build.state, BuildState::Passed | BuildState::Failed)
}

/// The last lines that it or its tests printed; nothing where they cannot be read in time.
async fn output(visitor: &Visitor, build: &Build) -> Vec<Vec<Piece>> {
    let read = async {
        let logs = visitor
            .daemon
            .build_logs(Some(&build.project), build.id)
            .await;
        let mut chunks = logs.ok()?;
        let mut text = Vec::new();
        while let Some(Ok(chunk)) = chunks.next().await {
            text.extend_from_slice(&chunk.0);
            if text.len() > 2 * READ {
                text.drain(..text.len() - READ);
            }
        }
        Some(text)
    };
    let text = timeout(LIMIT, read)
        .await
        .ok()
        .flatten()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LINES));
    last.map(|line| ansi::pieces(line)).collect()
}

/// A stage to which it may be brought.
struct Way {
    name: String,
    path: String,
    /// A newer one runs there.
    older: bool,
}

#[derive(Template)]
#[template(path = "build.html")]
struct BuildPage {
    t: Lang,
    frame: Frame,
    build: Build,
    project_path: String,
    to: Vec<Way>,
    /// Stages to which it was not deployed when that was last tried.
    failed: Vec<(String, FailedDeployment)>,
    is_live: bool,
    /// It was asked for, and is an old one.
    is_known: bool,
    may_act: bool,
    output: Vec<Vec<Piece>>,
}
