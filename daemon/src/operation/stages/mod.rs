//! Stages: what runs in them, which build may come next, and having it run.
//!
//! A person's `promote` and `rollback` come here, and so does a trigger: [`promote`] with the claim of a trigger
//! deploys a build to a stage as a person would, and [`onward`] says which builds may go on by themselves.

mod place;
mod preview;

pub use preview::{Previewed, WantedPreview, preview};

use super::{Begun, show::look_at_health, subject};
use crate::{
    authz::{Actor, Claim},
    cid::Cid,
    config::{Project, Promote, Stage},
    domain::{
        Build, BuildState, Creator, Deployment, Name, Owner, ProjectName, Workspace, WorkspaceState,
    },
    error::Error,
    health::{Condition, Seen},
    system::helpers::{Identity, ask_once},
};
use cid_protocol::request::IsAncestor;
use futures::future::try_join_all;
use place::Place;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long an answer about all stages may wait for their pages.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait for a page that a build is carried on by: longer than it may take to answer.
const SOAK_LOOK: Duration = Duration::from_secs(6);
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
        all.extend(unnamed(cid, &project).await?);
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
async fn unnamed(cid: &Cid, project: &Project) -> Result<Vec<ShownStage>, Error> {
    let of = Some(project.name.clone());
    let mut rows = cid.store.workspaces(of, 0, usize::MAX >> 1).await?;
    rows.retain(|row| row.is_stage() && project.stage(&row.name).is_none());
    let mut all = Vec::new();
    for row in rows {
        let past = cid.store.deployments(row.id, 1).await?;
        all.push(ShownStage {
            name: row.name.clone(),
            project: project.name.clone(),
            seen: Seen::default(),
            url: row.url.clone(),
            previous: None,
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
    Ok(ShownStage {
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
    let begun = place.begin(cid, permit, build, false).await?;
    Ok(BegunBuild {
        begun,
        build: number,
        notes,
    })
}

/// The builds that may go on by themselves now, with their next stage: the newest that a push made of a stage's branch,
/// and where `promote` is automatic what has run well in the stage before for long enough. None that was tried there.
///
/// # Errors
/// The ledger's.
pub async fn onward(cid: &Cid, project: &Project) -> Result<Vec<(Name, u32)>, Error> {
    let all = builds(cid, project).await?;
    let pushed = cid.store.pushed_builds(project.name.clone()).await?;
    let mut found = Vec::new();
    for (name, stage) in &project.stages {
        let place = Place::of(cid, project, name).await?;
        let next = match &stage.after {
            None => {
                // A person's is as good as the push's own where it is the first of its commit. Others were asked for
                // until one passed, and go where a person promotes them.
                let is_push = |build: &&Build| {
                    pushed.contains(&build.number)
                        || place.head.as_ref() == Some(&build.source.commit)
                            && !is_again(build, &all)
                };
                let pushed: Vec<Build> = all.iter().filter(is_push).cloned().collect();
                place.newest(&pushed).cloned()
            }
            Some(after) if stage.promote == Promote::Auto => {
                let there = Place::of(cid, project, after).await?;
                let running = there.running();
                let next = all.iter().find(|build| Some(build.number) == running);
                match next {
                    // Its page is asked for while it soaks, and only then.
                    Some(next)
                        if may_go_on(cid, &place, next).await?
                            && soaked(cid, &there, stage).await? =>
                    {
                        Some(next.clone())
                    }
                    _ => None,
                }
            }
            Some(_) => None,
        };
        if let Some(build) = next
            && may_go_on(cid, &place, &build).await?
            && is_on_its_branch(cid, project, name, &build).await?
        {
            found.push(((**name).clone(), build.number));
        }
    }
    Ok(found)
}

/// Whether a build may come to a stage by itself, by what is known of both.
async fn may_go_on(cid: &Cid, place: &Place, build: &Build) -> Result<bool, Error> {
    Ok(place.is_newer(build)
        && place.refuse(build, false).is_ok()
        && place.refuse_live_job(cid).await.is_ok()
        && !cid
            .store
            .was_tried(place.name.clone(), build.clone())
            .await?)
}

/// Whether the same was built before.
fn is_again(build: &Build, all: &[Build]) -> bool {
    all.iter().any(|other| {
        other.number < build.number
            && other.source.commit == build.source.commit
            && other.recipe == build.recipe
            && !matches!(other.state, BuildState::Error | BuildState::Superseded)
    })
}

/// Whether a build's commit is still on the branch whose pushes lead to a stage: what was pushed away by force goes no
/// further by itself.
async fn is_on_its_branch(
    cid: &Cid,
    project: &Project,
    stage: &Name,
    build: &Build,
) -> Result<bool, Error> {
    let followed = cid.store.followed(project.name.clone()).await?;
    let at = followed.get(project.branch_that_leads_to(stage));
    // Nobody looks at the remote: then nobody can tell.
    let Some(at) = at else {
        return Ok(true);
    };
    let Some(head) = at.commit.clone() else {
        return Ok(false);
    };
    let commit = &build.source.commit;
    if head == *commit {
        return Ok(true);
    }
    if cid.looks.is_astray(&project.name, build.number, &head) {
        return Ok(false);
    }
    let ask = IsAncestor {
        mirror: cid.layout.mirror(&project.name),
        commit: commit.clone(),
        of: head.clone(),
    };
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    let (identity, limit) = (
        Identity::Git(project.name.clone()),
        *cid.settings.limits.step,
    );
    let is_there = ask_once(helpers, identity, limit, stopping, ask).await;
    let is_there = is_there.unwrap_or_else(|fault| {
        tracing::debug!(PROJECT = project.name.as_str(), "{fault}");
        false
    });
    if !is_there {
        cid.looks.set_astray(&project.name, build.number, &head);
    }
    Ok(is_there)
}

/// Whether what runs in a stage has run well for as long as the next one asks.
async fn soaked(cid: &Cid, there: &Place, stage: &Stage) -> Result<bool, Error> {
    let (Some(workspace), Some(running)) = (&there.workspace, there.past.first()) else {
        return Ok(false);
    };
    let soak = stage.soak.as_ref().map_or(Duration::ZERO, |soak| **soak);
    // What is about to be another one, or was left half-way, is no recommendation.
    let is_settled = workspace.state == WorkspaceState::Ready
        && cid.store.live_job(workspace.id).await?.is_none();
    // An earlier look is no reason to promote it.
    let seen = cid.health.look_newly(workspace, SOAK_LOOK).await;
    let is_well = is_settled
        && seen
            .as_ref()
            .is_some_and(|seen| seen.health.condition == Condition::Up);
    let looks = &cid.looks;
    let well = looks.well_for(
        &there.project.name,
        &there.name,
        running.job,
        is_well,
        tokio::time::Instant::now(),
    );
    // A process that was started again meanwhile was not well before.
    let now = jiff::Timestamp::now();
    let starts = seen.iter().flat_map(|seen| &seen.processes);
    let starts = starts.filter_map(|process| process.since);
    let ran = starts.map(|since| Duration::try_from(now.duration_since(since)).unwrap_or_default());
    let ran = ran.min().unwrap_or(well);
    Ok(is_well && well.min(ran) >= soak)
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

/// The stage that is meant.
/// The project that is meant: where none is named, the only one that has such a stage.
fn project_with(cid: &Cid, project: &str, stage: &str) -> String {
    let name = Name::of_stage(stage).filter(|_| project.is_empty());
    let has_it = |one: &Arc<Project>| name.as_ref().is_some_and(|name| one.stage(name).is_some());
    let mut all = cid.projects.all_standing();
    all.retain(has_it);
    match &all[..] {
        [only] => only.name.to_string(),
        _ => project.to_owned(),
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
