use crate::{
    error::{Answer, Problem, Refusal},
    form::Posted,
    i18n::Lang,
    page::{self, Frame, act},
    visitor::Visitor,
};
use askama::Template;
use axum::{extract::Path, http::StatusCode};
use cid_client::{Build, Health, Stage, WorkspaceState};
use futures::future;

/// How many builds the page tells of.
const BUILDS: usize = 50;

/// Where the page of a project's delivery is.
pub fn path(project: &str) -> String {
    format!("/projects/{}", page::segment(project))
}

/// Shows a project's stages side by side, and its builds.
pub async fn show(visitor: Visitor, lang: Lang, Path(project): Path<String>) -> Answer {
    let frame = Frame::of(&visitor, lang).await?;
    let daemon = &visitor.daemon;
    let of = Some(project.as_str());
    // The first of these fails for a name that no project has.
    let told = future::try_join3(
        daemon.project(&project),
        daemon.stages(of),
        daemon.builds(of, BUILDS),
    );
    let (project, stages, builds) = told
        .await
        .map_err(|err| Refusal(lang, Problem::or_missing(err, Problem::NoProject)))?;
    let stages = stages.into_iter().map(|stage| Shown::of(stage, &builds));
    let page = DeliveryPage {
        t: lang,
        path: path(&project.name),
        may_act: frame.is_administrator(),
        stages: stages.collect(),
        error: project.error,
        project: project.name,
        base: project.base_branch,
        frame,
        builds,
    };
    Ok(page::html(lang, StatusCode::OK, &page))
}

/// Has a commit built, and leads to the build.
pub async fn build(Path(project): Path<String>, posted: Posted) -> Answer {
    let [revision, again] = posted.values(["revision", "again"])?;
    let revision = revision.filter(|revision| !revision.is_empty());
    let daemon = &posted.visitor.daemon;
    let built = daemon
        .build(Some(&project), revision.as_deref(), again.is_some())
        .await;
    let (build, is_new) = built.map_err(|err| Refusal(posted.lang, err.into()))?;
    Ok(match is_new {
        true => act::to_job(&build.job),
        false => {
            let path = super::build::path(&build.project, build.id);
            page::to(&format!("{path}?known=yes"))
        }
    })
}

/// A stage with what the page says of its build.
struct Shown {
    stage: Stage,
    /// Where the pages about changing it are.
    path: String,
    /// What runs.
    running: Option<Build>,
    /// The job that changes it, while it does.
    job: Option<String>,
    /// The build that was not deployed when that was last tried.
    failed: Option<u32>,
}

impl Shown {
    /// Whether this build was not deployed when that was last tried.
    fn has_failed(&self, build: &u32) -> bool {
        self.failed.as_ref() == Some(build)
    }

    fn of(stage: Stage, builds: &[Build]) -> Self {
        let running = builds.iter().find(|build| stage.build == Some(build.id));
        let is_moving = matches!(
            stage.state,
            Some(WorkspaceState::Creating | WorkspaceState::Deleting)
        );
        // So the daemon says of what its jobs do with processes.
        let health = stage.health_message.as_deref();
        let is_moving = is_moving || health.is_some_and(|text| text.ends_with("job is at work"));
        Self {
            path: format!(
                "{}/stages/{}",
                path(&stage.project),
                page::segment(&stage.name)
            ),
            running: running.cloned(),
            job: stage.job.clone().filter(|_| is_moving),
            failed: stage
                .failed_deployment
                .as_ref()
                .and_then(|failed| failed.build),
            stage,
        }
    }
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    t: Lang,
    frame: Frame,
    project: String,
    path: String,
    /// The branch that is built where no other is named.
    base: String,
    may_act: bool,
    /// Why the project cannot be used.
    error: Option<String>,
    stages: Vec<Shown>,
    builds: Vec<Build>,
}
