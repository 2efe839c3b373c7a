//! Stages: what runs in them, which build may come next, and having it run.
//!
//! A person's `promote` and `rollback` come here, and so does a trigger: [`promote`] with the claim of a trigger
//! deploys a build to a stage as a person would, and [`onward`] says which builds may go on by themselves.

mod onward;
mod place;
mod preview;

#[cfg(test)]
pub(crate) use onward::note_fallen_for;
pub use onward::{note_fallen, onward};
pub use preview::{Previewed, WantedPreview, preview};

use super::{
    Begun,
    failed::{FailedDeployment, failed_deployment},
    show::look_at_health,
    subject,
};
use crate::{
    authz::{Actor, Claim},
    cid::Cid,
    config::Project,
    domain::{Build, Creator, Deployment, Name, Owner, ProjectName, Workspace},
    error::Error,
    health::Seen,
};
use futures::future::try_join_all;
use place::Place;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long an answer about all stages may wait for their pages.
const LOOK: Duration = Duration::from_secs(1);
/// Enough of a stage's past for all that a project keeps.
const PAST: usize = 1000;

/// A stage as it is now.
#[derive(Debug)]
pub struct ShownStage {
    /// Its name.
    pub name: Name,
    /// Its project.
    pub project: ProjectName,
    /// Its row; `None`: nothing was deployed yet.
    pub workspace: Option<Workspace>,
    /// Its health and processes.
    pub seen: Seen,
    /// Where it answers, or will.
    pub url: String,
    /// What runs.
    pub running: Option<Deployment>,
    /// The newest older build that ran there, to which `rollback` goes.
    pub previous: Option<u32>,
    /// The newest build that `promote` takes.
    pub promotable: Option<u32>,
    /// Its newest deployment, where that failed.
    pub failed: Option<FailedDeployment>,
    /// Why the build that would be promoted by itself is not yet; `None`: none waits.
    pub held: Option<String>,
}

/// A deployment that has begun.
#[derive(Debug)]
pub struct BegunBuild {
    /// The job, and the stage.
    pub begun: Begun,
    /// The build.
    pub build: u32,
    /// What the person must know.
    pub notes: Vec<String>,
}

/// The stages of a project, or (empty) of all, in the order in which builds go through them.
///
/// # Errors
/// There is no such project, or the ledger fails.
pub async fn stages(cid: &Cid, project: &str) -> Result<Vec<ShownStage>, Error> {
    let projects = match project {
        "" => cid.projects.all_standing(),
        name => vec![cid.projects.standing(name)?],
    };
    let mut all = Vec::new();
    for project in projects {
        let builds = builds(cid, &project).await?;
        let shown = project
            .stages_in_order()
            .into_iter()
            .map(|name| shown(cid, &project, name, &builds));
        all.extend(try_join_all(shown).await?);
        all.extend(unnamed(cid, &project, &builds).await?);
    }
    see(cid, &mut all).await;
    Ok(all)
}

/// Looks at all that runs at once: each page may take as long as [`LOOK`].
async fn see(cid: &Cid, stages: &mut [ShownStage]) {
    let rows: Vec<_> = stages.iter().filter_map(|s| s.workspace.as_ref()).collect();
    let seen = look_at_health(cid, &rows, LOOK).await;
    let deployed = stages.iter_mut().filter(|stage| stage.workspace.is_some());
    for (stage, seen) in deployed.zip(seen) {
        stage.seen = seen;
    }
}

/// Stages that the project file does not name any more: they run on until they are deleted.
async fn unnamed(
    cid: &Cid,
    project: &Arc<Project>,
    builds: &[Build],
) -> Result<Vec<ShownStage>, Error> {
    let of = Some(project.name.clone());
    let mut rows = cid.store.workspaces(of, 0, usize::MAX >> 1).await?;
    rows.retain(|row| row.is_stage() && project.stage(&row.name).is_none());
    let mut all = Vec::new();
    for row in rows {
        let past = cid.store.deployments(row.id, 1).await?;
        let (with, is_lost) = with_lost(cid, Arc::clone(project), row.name.as_str());
        let previous = match is_lost {
            true => Place::of(cid, &with, &row.name).await?.previous(builds),
            false => None,
        };
        all.push(ShownStage {
            failed: failed_deployment(cid, &row).await?,
            held: None,
            name: row.name.clone(),
            project: project.name.clone(),
            seen: Seen::default(),
            url: row.url.clone(),
            previous,
            promotable: None,
            running: past.into_iter().next(),
            workspace: Some(row),
        });
    }
    Ok(all)
}

async fn shown(
    cid: &Cid,
    project: &Project,
    name: &Name,
    builds: &[Build],
) -> Result<ShownStage, Error> {
    let place = Place::of(cid, project, name).await?;
    let url = match &place.workspace {
        Some(workspace) if !workspace.url.is_empty() => workspace.url.clone(),
        _ => cid
            .sys
            .site
            .url(&project.host_for(name), project.is_https(name)),
    };
    let failed = match &place.workspace {
        Some(workspace) => failed_deployment(cid, workspace).await?,
        None => None,
    };
    Ok(ShownStage {
        failed,
        held: onward::held(cid, &place, builds).await?,
        name: name.clone(),
        project: project.name.clone(),
        seen: Seen::default(),
        url,
        previous: place.previous(builds),
        promotable: place.newest(builds).map(|build| build.number),
        running: place.past.first().cloned(),
        workspace: place.workspace,
    })
}

/// Begins to have a build run in a stage: that one, or the newest that may. `older`: also one that is older than
/// what runs.
///
/// # Errors
/// There is no such stage or build, the build may not, a job of the stage is live, or the actor may not.
pub async fn promote(
    cid: &Cid,
    claim: Claim,
    project: &str,
    stage: &str,
    number: Option<u32>,
    older: bool,
) -> Result<BegunBuild, Error> {
    let project = cid
        .projects
        .named_or_only(&project_with(cid, project, stage))?;
    let permit = claim.bind(about(cid, &project, stage)).await?;
    let name = find(&project, stage)?;
    let place = Place::of(cid, &project, &name).await?;
    place.refuse_live_job(cid).await?;
    if matches!(permit.actor(), Actor::Trigger(..)) {
        place.refuse_overtaken(cid, number).await?;
    }
    let builds = builds(cid, &project).await?;
    let build = match number {
        Some(number) => {
            let build = find_build(&builds, &project.name, number)?;
            place.refuse(build, older)?;
            build
        }
        None => place
            .newest(&builds)
            .ok_or_else(|| place.nothing_new(&builds))?,
    };
    let begun = place.begin(cid, permit, build, true).await?;
    Ok(BegunBuild {
        begun,
        build: build.number,
        notes: Vec::new(),
    })
}

/// Begins to have a build run again that ran in the stage before: that one, or the newest that is older than what
/// runs. Release commands do not run. It is the way out, so it is possible with a project file that is bad or gone: then by
/// what the file last said.
///
/// # Errors
/// There is no such stage, no such build ran there or is there, a job of the stage is live, or the actor may not.
pub async fn roll_back(
    cid: &Cid,
    claim: Claim,
    project: &str,
    stage: &str,
    number: Option<u32>,
) -> Result<BegunBuild, Error> {
    let project = project_with(cid, project, stage);
    let project = cid.projects.standing_named_or_only(&project)?;
    let (project, is_lost) = with_lost(cid, project, stage);
    let permit = claim.bind(about(cid, &project, stage)).await?;
    let name = find(&project, stage)?;
    let place = Place::of(cid, &project, &name).await?;
    place.refuse_live_job(cid).await?;
    let builds = builds(cid, &project).await?;
    if let Some(number) = number {
        find_build(&builds, &project.name, number)?;
    }
    let number = place.back_to(number, &builds)?;
    let build = find_build(&builds, &project.name, number)?;
    let mut notes = place.since(number);
    if let Err(error) = cid.projects.get(project.name.as_str()) {
        notes.push(format!("{error}: it runs by what the file last said"));
    }
    if is_lost {
        notes.push(format!(
            "the project file does not name {name} any more: it runs by what the file last said of it"
        ));
    }
    let begun = place.begin(cid, permit, build, false).await?;
    Ok(BegunBuild {
        begun,
        build: number,
        notes,
    })
}

/// A build that runs in a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningBuild {
    /// The project.
    pub project: ProjectName,
    /// The stage.
    pub stage: Name,
    /// The build's number.
    pub build: u32,
}

/// What runs in the stages of the projects that these builds are of.
///
/// # Errors
/// The ledger's.
pub async fn running_builds(cid: &Cid, builds: &[Build]) -> Result<Vec<RunningBuild>, Error> {
    let projects: BTreeSet<&ProjectName> = builds.iter().map(|build| &build.project).collect();
    let mut all = Vec::new();
    for project in projects {
        let running = cid.store.running_builds(project.clone()).await?;
        all.extend(running.into_iter().map(|(build, stage)| RunningBuild {
            project: project.clone(),
            stage,
            build,
        }));
    }
    Ok(all)
}

/// The stages to which a build may be promoted now, be it older than what runs there or not.
///
/// # Errors
/// The ledger's.
pub async fn eligible(cid: &Cid, build: &Build) -> Result<Vec<Name>, Error> {
    // With a bad file nothing is promoted.
    let Ok(project) = cid.projects.get(build.project.as_str()) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for name in project.stages_in_order() {
        let place = Place::of(cid, &project, name).await?;
        if place.running() != Some(build.number) && place.refuse(build, true).is_ok() {
            found.push((**name).clone());
        }
    }
    Ok(found)
}

/// What the gate is asked about: a stage, whether there is one or not.
fn about(cid: &Cid, project: &Project, stage: &str) -> crate::authz::Subject {
    match Name::of_stage(stage) {
        Some(name) => {
            let made = Some((&name, &Creator::User(0)));
            subject(cid, &project.name, &Owner::Stage(name.clone()), made, None)
        }
        None => crate::authz::Subject::of_project(&project.name),
    }
}

/// The project that is meant: where none is named, the only one that has such a stage.
fn project_with(cid: &Cid, project: &str, stage: &str) -> String {
    let name = Name::of_stage(stage).filter(|_| project.is_empty());
    let has_it = |one: &Arc<Project>| {
        let with = |name| cid.projects.with_stage(Arc::clone(one), name);
        name.as_ref()
            .is_some_and(|name| with(name).stage(name).is_some())
    };
    let mut all = cid.projects.all_standing();
    all.retain(has_it);
    match &all[..] {
        [only] => only.name.to_string(),
        _ => project.to_owned(),
    }
}

/// The project with this stage also where its file does not name it any more, and whether that is so.
fn with_lost(cid: &Cid, project: Arc<Project>, stage: &str) -> (Arc<Project>, bool) {
    match Name::of_stage(stage) {
        Some(name) if project.stage(&name).is_none() => {
            let with = cid.projects.with_stage(project, &name);
            let is_lost = with.stage(&name).is_some();
            (with, is_lost)
        }
        _ => (project, false),
    }
}

fn find(project: &Project, stage: &str) -> Result<Name, Error> {
    let name = Name::of_stage(stage).filter(|name| project.stage(name).is_some());
    name.ok_or_else(|| Error::NotFound {
        message: format!("{} has no stage {stage:?}", project.name),
        hint: Some(match project.stages.is_empty() {
            true => format!("write [stages.NAME] into {}", project.file.display()),
            false => "cictl stages shows them; one that the file does not name any more runs on as it is, until its table is back or it is deleted".into(),
        }),
    })
}

async fn builds(cid: &Cid, project: &Project) -> Result<Vec<Build>, Error> {
    let of = Some(project.name.clone());
    Ok(cid.store.builds(of, None, usize::MAX >> 1).await?)
}

fn find_build<'a>(
    builds: &'a [Build],
    project: &ProjectName,
    number: u32,
) -> Result<&'a Build, Error> {
    let found = builds.iter().find(|build| build.number == number);
    found.ok_or_else(|| Error::NotFound {
        message: format!("{project} has no build {number}"),
        hint: Some("cictl builds shows them".into()),
    })
}
