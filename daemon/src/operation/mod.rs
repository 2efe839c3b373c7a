//! What is decided about workspaces, jobs and projects: looks at how things are, refuses what must not be,
//! asks the gate, and submits a job. It knows nothing of gRPC; `rpc` and triggers call it.

mod away;
mod build;
mod by_itself;
mod create;
mod delete;
mod failed;
mod idle;
mod jobs;
mod logs;
pub mod project;
mod prune;
mod run;
mod show;
mod stages;
mod stay;
mod templates;
mod visit;
mod watch;
mod work;

pub(crate) use by_itself::ByItself;

pub use away::{start, stop};
pub use build::{build, build_output, delete_build, show_build, tidy_builds_forever};
pub use create::create;
pub use delete::{Deleted, Deletion, delete};
pub use failed::{FailedDeployment, failed_deployment, failed_deployments};
pub use idle::sleep_forever;
pub use jobs::{ShownJob, cancel_job, list_jobs, retry_job, show_job};
pub use logs::{LogLine, LogPlace, WantedLogs, logs};
pub use prune::prune;
pub use run::{Running, Wanted, run};
pub use show::{Shown, Standing, list, memory_of_each, show};
#[cfg(test)]
pub(crate) use stages::note_fallen_for;
pub use stages::{
    BegunBuild, Previewed, RunningBuild, ShownStage, WantedPreview, eligible, note_fallen, onward,
    preview, promote, roll_back, running_builds, stages,
};
pub use stay::stay;
#[cfg(test)]
pub(crate) use templates::make_template;
pub use templates::make_templates_forever;
pub use visit::{Visit, visit};
pub use watch::{Watch, Watched, gap, watch_job};

pub use crate::keeper::front::{EnabledFront, WantedFront, disable_front, enable_front};
pub use crate::plan::Staying;

use crate::{
    authz::{Claim, Permit, Subject},
    cid::Cid,
    config::Project,
    domain::{Creator, Name, Owner, ProjectName, Workspace, WorkspaceState},
    engine::Submission,
    error::Error,
    plan::{Ground, Order},
    store,
};
use std::sync::Arc;
use uuid::Uuid;

/// What can be done with a workspace whose project has no file.
const NOTHING_ELSE: &str = "without it a workspace can be shown, run commands and be deleted";

/// The workspace that somebody names.
#[derive(Clone, Debug)]
pub struct Named {
    /// Whose.
    pub owner: Owner,
    /// Of which project; empty if they have only one.
    pub project: String,
}

/// A job that has begun, and its workspace.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The workspace, as the ledger has it now.
    pub workspace: Workspace,
    /// The job.
    pub job: Uuid,
}

/// The workspace that is named.
///
/// # Errors
/// The owner has no workspace, or has several and no project is named.
pub async fn resolve(cid: &Cid, named: &Named) -> Result<Workspace, Error> {
    let Named { owner, project } = named;
    let mut found = cid.store.workspaces_of(owner.clone()).await?;
    if !project.is_empty() {
        let name = ProjectName::parse(project);
        if !found.iter().any(|w| Some(&w.project) == name.as_ref()) {
            // If the project does not exist, that is the better answer.
            known_project(cid, project).await?;
        }
        found.retain(|w| Some(&w.project) == name.as_ref());
    }
    match found.len() {
        1 => found
            .pop()
            .ok_or_else(|| Error::not_found("there is no such workspace")),
        0 if let Some(stage) = owner.stage() => Err(no_stage(cid, stage, project)),
        0 => Err(Error::NotFound {
            message: format!("{owner} has no workspace{}", of_project(project)),
            hint: Some("cictl list shows them all".into()),
        }),
        _ => {
            let projects: Vec<&str> = found.iter().map(|w| w.project.as_str()).collect();
            Err(Error::Invalid {
                field: "workspace.project",
                message: format!(
                    "{owner} has workspaces in several projects: {}",
                    projects.join(", ")
                ),
                hint: Some("say which one with -p PROJECT".into()),
            })
        }
    }
}

/// Why a word that is no address names nothing: it may be a stage's name, or meant as an address.
fn no_stage(cid: &Cid, stage: &Name, project: &str) -> Error {
    let shelf = cid.projects.all_standing();
    let mut meant = shelf.iter();
    let is_stage = meant.any(|one| {
        (project.is_empty() || one.name.as_str() == project) && one.stage(stage).is_some()
    });
    let of = of_project(project);
    match is_stage {
        true => Error::NotFound {
            message: format!("nothing runs in the stage {stage}{of} yet"),
            hint: Some(format!("cictl promote {stage} deploys a build there")),
        },
        false => Error::NotFound {
            message: format!("there is no workspace {stage}{of}"),
            hint: Some(
                "a workspace is named by its e-mail address (cictl list), a stage by its name (cictl stages)"
                    .into(),
            ),
        },
    }
}

fn of_project(project: &str) -> String {
    if project.is_empty() {
        String::new()
    } else {
        format!(" of {project}")
    }
}

/// A project that has a file, or had one and still has workspaces.
///
/// # Errors
/// No such project.
pub async fn known_project(cid: &Cid, name: &str) -> Result<ProjectName, Error> {
    if let Some(project) = ProjectName::parse(name) {
        let is_here = cid.projects.all().contains_key(name);
        if is_here
            || !cid
                .store
                .workspaces(Some(project.clone()), 0, 1)
                .await?
                .is_empty()
        {
            return Ok(project);
        }
    }
    cid.projects.get(name).map(|project| project.name.clone())
}

/// Asks whether the actor may do it to this workspace.
///
/// # Errors
/// It may not.
pub async fn bind(cid: &Cid, claim: Claim, workspace: &Workspace) -> Result<Permit, Error> {
    let Workspace {
        project,
        owner,
        name,
        creator,
        ..
    } = workspace;
    let made = Some((name, creator));
    claim.bind(subject(cid, project, owner, made, None)).await
}

/// What the gate is asked about.
pub(crate) fn subject(
    cid: &Cid,
    project: &ProjectName,
    owner: &Owner,
    made: Option<(&Name, &Creator)>,
    job: Option<Uuid>,
) -> Subject {
    let stage = owner.stage();
    let file = cid.projects.standing(project.as_str()).ok();
    Subject {
        deployers: file.and_then(|file| file.access.deployers.clone().filter(|_| stage.is_some())),
        project: project.clone(),
        owner: Some(owner.clone()),
        workspace: made.map(|(name, _)| name.clone()),
        // Who deployed to a stage first has no right to it by that.
        creator: made
            .filter(|_| stage.is_none())
            .map(|(_, creator)| creator.clone()),
        account: owner
            .person()
            .and_then(|email| cid.projects.account_of(project, email)),
        job,
    }
}

/// The project of an existing workspace, for operations that need the project's file. `otherwise` says
/// what is possible without it.
///
/// # Errors
/// The file is gone or bad.
fn project_of(cid: &Cid, workspace: &Workspace, otherwise: &str) -> Result<Arc<Project>, Error> {
    let name = workspace.project.as_str();
    if cid.projects.all().contains_key(name) {
        return cid.projects.get(name);
    }
    let file = cid.projects.file_of(&workspace.project);
    Err(Error::Precondition {
        message: format!("the project {name} has no file any more"),
        hint: Some(format!("restore {}; {otherwise}", file.display())),
    })
}

/// Fails while a job of this workspace is live.
async fn refuse_live_job(cid: &Cid, workspace: &Workspace) -> Result<(), Error> {
    match cid.store.live_job(workspace.id).await? {
        Some(job) => Err(Error::JobInTheWay {
            job: job.id,
            kind: job.kind,
        }),
        None => Ok(()),
    }
}

/// Fails for a stage, and says why.
fn refuse_stage(named: &Named, why: &str) -> Result<(), Error> {
    match named.owner.stage() {
        Some(stage) => Err(Error::Precondition {
            message: format!("{stage} is a stage: {why}"),
            hint: None,
        }),
        None => Ok(()),
    }
}

/// Begins a job about an existing workspace, which is in `state` while the job is live.
async fn begin(
    cid: &Cid,
    permit: Permit,
    workspace: Workspace,
    state: WorkspaceState,
    order: Order,
) -> Result<Begun, Error> {
    let subject = store::Subject::Existing(Box::new(workspace), state);
    submit(cid, permit, subject, order).await
}

/// Begins a job, and records it for the audit log.
async fn submit(
    cid: &Cid,
    permit: Permit,
    subject: store::Subject,
    order: Order,
) -> Result<Begun, Error> {
    let call = permit.call();
    let ground = Ground {
        layout: Arc::clone(&cid.layout),
        settings: Arc::clone(&cid.settings),
        accounts: cid.account_range(),
    };
    let submission = Submission {
        kind: order.kind(),
        subject,
        build: order.build(),
        plan: Box::new(move |workspace| order.plan(&ground, workspace)),
    };
    let (workspace, job) = cid.engine.submit(permit, submission).await?;
    if let Some(call) = call {
        call.began(&workspace, job);
    }
    Ok(Begun { workspace, job })
}
