//! Stages: what runs in them, which build may come next, and having it run.
//!
//! A person's `promote` and `rollback` come here, and so does a trigger: [`promote`] with the claim of a trigger
//! deploys a build to a stage as a person would, and [`onward`] says which builds may go on by themselves.

use super::{Begun, create::refuse_full_disk, subject, submit};
use crate::{
    authz::Claim,
    cid::Cid,
    config::{Project, Projects, Promote, Stage},
    domain::{
        Build, BuildState, Creator, Deployment, Email, JobKind, Name, ProjectName, Workspace,
        WorkspaceState,
    },
    error::Error,
    health::{Condition, Seen},
    plan::Order,
    store::{Quota, Subject},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use uuid::Uuid;

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
    /// The build that ran before, to which `rollback` goes.
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

/// The stages of a project, or (empty) of all, in the order of their names.
///
/// # Errors
/// There is no such project, or the ledger fails.
pub async fn stages(cid: &Cid, project: &str) -> Result<Vec<ShownStage>, Error> {
    let projects = match project {
        "" => cid.projects.all().values().flatten().cloned().collect(),
        name => vec![cid.projects.get(name)?],
    };
    let mut all = Vec::new();
    for project in projects {
        let builds = builds(cid, &project).await?;
        for name in project.stages.keys() {
            all.push(shown(cid, &project, name, &builds).await?);
        }
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
    let seen = match &place.workspace {
        Some(workspace) => cid.health.look(&[workspace], LOOK).await.pop(),
        None => None,
    };
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
        seen: seen.unwrap_or_default(),
        url,
        previous: place.previous(),
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
    let project = cid.projects.named_or_only(project)?;
    let permit = claim.bind(about(cid, &project, stage)).await?;
    let name = find(&project, stage)?;
    let place = Place::of(cid, &project, &name).await?;
    place.refuse_live_job(cid).await?;
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

/// Begins to have a build run again that ran in the stage before: that one, or the last other one. Release
/// commands do not run.
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
    let project = cid.projects.named_or_only(project)?;
    let permit = claim.bind(about(cid, &project, stage)).await?;
    let name = find(&project, stage)?;
    let place = Place::of(cid, &project, &name).await?;
    place.refuse_live_job(cid).await?;
    let number = match number {
        Some(number) if place.past.iter().any(|old| old.build == number) => number,
        Some(number) => {
            return Err(Error::Conflict {
                message: format!("build {number} never ran in {name}"),
                hint: Some(format!(
                    "cictl promote {name} {number} takes one that passed"
                )),
            });
        }
        None => place.previous().ok_or_else(|| Error::Conflict {
            message: format!("no other build ran in {name} before"),
            hint: None,
        })?,
    };
    if place.running() == Some(number) {
        return Err(place.runs_already(number));
    }
    let builds = builds(cid, &project).await?;
    let build = find_build(&builds, &project.name, number)?;
    let notes = place.since(number);
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
                let is_push = |build: &&Build| {
                    pushed.contains(&build.number)
                        || place.head.as_ref() == Some(&build.source.commit)
                };
                let pushed: Vec<Build> = all.iter().filter(is_push).cloned().collect();
                place.newest(&pushed).cloned()
            }
            Some(after) if stage.promote == Promote::Auto => {
                match soaked(cid, project, after, stage).await? {
                    Some(number) => all.iter().find(|build| build.number == number).cloned(),
                    None => None,
                }
            }
            Some(_) => None,
        };
        let next = next.filter(|build| place.is_newer(build) && place.refuse(build, false).is_ok());
        if let Some(build) = next
            && place.refuse_live_job(cid).await.is_ok()
            && !cid.store.was_tried((**name).clone(), build.clone()).await?
        {
            found.push(((**name).clone(), build.number));
        }
    }
    Ok(found)
}

/// The build that has run well in a stage for as long as the next one asks.
async fn soaked(
    cid: &Cid,
    project: &Project,
    after: &Name,
    stage: &Stage,
) -> Result<Option<u32>, Error> {
    let there = Place::of(cid, project, after).await?;
    let (Some(workspace), Some(running)) = (&there.workspace, there.past.first()) else {
        return Ok(None);
    };
    let soak = stage.soak.as_ref().map_or(Duration::ZERO, |soak| **soak);
    let age = jiff::Timestamp::now().duration_since(running.at);
    let is_old = Duration::try_from(age).is_ok_and(|age| age >= soak);
    if !is_old || workspace.state != WorkspaceState::Ready {
        return Ok(None);
    }
    let seen = cid.health.look(&[workspace], LOOK).await.pop();
    let is_well = seen.is_some_and(|seen| seen.health.condition == Condition::Up);
    Ok(is_well.then_some(running.build))
}

fn branch_of<'a>(project: &'a Project, stage: &'a Stage) -> Option<&'a str> {
    let own = stage.branch.as_ref().map(|branch| branch.as_str());
    match &stage.after {
        Some(_) => None,
        None => Some(own.unwrap_or(&project.git.base)),
    }
}

/// The stages that keep a build, because they run it or can go back to it.
///
/// # Errors
/// The ledger's.
pub async fn keepers(
    cid: &Cid,
    project: &ProjectName,
) -> Result<Vec<(Name, BTreeSet<u32>)>, Error> {
    let mut all = Vec::new();
    let file = cid.projects.get(project.as_str()).ok();
    for workspace in cid
        .store
        .workspaces(Some(project.clone()), 0, usize::MAX >> 1)
        .await?
    {
        if !workspace.is_stage() {
            continue;
        }
        let stage = file.as_ref().and_then(|file| file.stage(&workspace.name));
        let keep = stage.map_or(1, |stage| stage.keep.get());
        let mut kept = BTreeSet::new();
        for old in cid.store.deployments(workspace.id, PAST).await? {
            if kept.len() > keep {
                break;
            }
            kept.insert(old.build);
        }
        all.push((workspace.name, kept));
    }
    Ok(all)
}

/// What the gate is asked about: a stage, whether there is one or not.
fn about(cid: &Cid, project: &Project, stage: &str) -> crate::authz::Subject {
    match Name::of_stage(stage) {
        Some(name) => {
            let made = Some((&name, &Creator::User(0)));
            subject(cid, &project.name, &Email::of_stage(&name), made, None)
        }
        None => crate::authz::Subject::of_project(&project.name),
    }
}

/// The stage that is meant.
fn find(project: &Project, stage: &str) -> Result<Name, Error> {
    let name = Name::of_stage(stage).filter(|name| project.stage(name).is_some());
    name.ok_or_else(|| Error::NotFound {
        message: format!("{} has no stage {stage:?}", project.name),
        hint: Some(match project.stages.is_empty() {
            true => format!("write [stages.NAME] into {}", project.file.display()),
            false => "cictl stages shows them".into(),
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

/// A stage, and what it says about builds.
struct Place {
    project: Arc<Project>,
    name: Name,
    stage: Stage,
    workspace: Option<Workspace>,
    /// The newest first.
    past: Vec<Deployment>,
    /// What ran in the stage before it; `None`: it is the first.
    after: Option<(Name, BTreeSet<u32>)>,
    /// Where its branch was when the remote was asked last.
    head: Option<String>,
}

impl Place {
    async fn of(cid: &Cid, project: &Project, name: &Name) -> Result<Self, Error> {
        let stage = project.stage(name).cloned();
        let stage = stage.ok_or_else(|| Error::not_found(format!("there is no stage {name}")))?;
        let row = |name: &Name| cid.store.stage(project.name.clone(), name.clone());
        let past = async |workspace: &Option<Workspace>| match workspace {
            Some(workspace) => cid.store.deployments(workspace.id, PAST).await,
            None => Ok(Vec::new()),
        };
        let workspace = row(name).await?;
        let after = match &stage.after {
            Some(after) => {
                let there = past(&row(after).await?).await?;
                let there = there.into_iter().map(|old| old.build).collect();
                Some(((**after).clone(), there))
            }
            None => None,
        };
        let head = match branch_of(project, &stage) {
            Some(branch) => {
                let followed = cid.store.followed(project.name.clone()).await?;
                followed.get(branch).and_then(|at| at.commit.clone())
            }
            None => None,
        };
        Ok(Self {
            head,
            past: past(&workspace).await?,
            project: Arc::new(project.clone()),
            name: name.clone(),
            stage,
            workspace,
            after,
        })
    }

    fn running(&self) -> Option<u32> {
        self.past.first().map(|running| running.build)
    }

    /// The build that ran before the present one.
    fn previous(&self) -> Option<u32> {
        let running = self.running()?;
        let mut others = self.past.iter().filter(|old| old.build != running);
        others.next().map(|old| old.build)
    }

    /// Why a build may not run here; the hint says what to do.
    fn refuse(&self, build: &Build, older: bool) -> Result<(), Error> {
        let (number, name) = (build.number, &self.name);
        let conflict = |message: String, hint: &str| {
            let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
            Err(Error::Conflict { message, hint })
        };
        match build.state {
            BuildState::Passed => {}
            BuildState::Failed if !self.project.test.required => {}
            BuildState::Failed => {
                let verdict = build
                    .verdict
                    .as_ref()
                    .map(|verdict| verdict.message.as_str());
                let verdict = verdict.unwrap_or("its tests failed");
                return conflict(
                    format!("build {number} may not run in {name}: {verdict}"),
                    "mend it and push; `required = false` under [test] has verdicts stop nothing",
                );
            }
            BuildState::Queued | BuildState::Building | BuildState::Testing => {
                return conflict(
                    format!("build {number} may not run in {name}: it is not tested yet"),
                    &format!("wait for it: cictl jobs watch {}", build.job),
                );
            }
            BuildState::Error => {
                return conflict(
                    format!("build {number} may not run in {name}: it could not be made"),
                    &format!("its job says why: cictl jobs show {}", build.job),
                );
            }
        }
        if build.packages.is_none() || build.digest.is_none() {
            return conflict(
                format!("build {number} may not run in {name}: it has no sealed files"),
                "build the commit again: cictl build --again",
            );
        }
        if let Some((after, there)) = &self.after
            && !there.contains(&number)
        {
            return conflict(
                format!("build {number} may not run in {name}: it never ran in {after}"),
                &format!("cictl promote {after} {number}"),
            );
        }
        match self.running() {
            Some(running) if running > number && !older => conflict(
                format!("build {number} is older than build {running}, which runs in {name}"),
                &format!(
                    "--older deploys it all the same; cictl rollback {name} {number} leaves release commands out"
                ),
            ),
            _ => Ok(()),
        }
    }

    /// Whether a build is of the stage's branch; a stage with `after` has none.
    fn is_meant(&self, build: &Build) -> bool {
        let branch = branch_of(&self.project, &self.stage);
        // One commit may be of two branches, and is built once.
        let is_head = self.head.as_ref() == Some(&build.source.commit);
        branch.is_none_or(|branch| build.source.reference == branch || is_head)
    }

    fn is_newer(&self, build: &Build) -> bool {
        self.running().is_none_or(|running| build.number > running)
    }

    /// The newest build that may run here and does not yet.
    fn newest<'a>(&self, builds: &'a [Build]) -> Option<&'a Build> {
        builds.iter().find(|build| {
            self.is_meant(build) && self.is_newer(build) && self.refuse(build, false).is_ok()
        })
    }

    /// Why there is none; of the newest build that could be meant, if there is one.
    fn nothing_new(&self, builds: &[Build]) -> Error {
        let mut newer = builds
            .iter()
            .filter(|build| self.is_meant(build) && self.is_newer(build));
        match (newer.next(), self.running()) {
            (Some(newest), _) => match self.refuse(newest, false) {
                Err(error) => error,
                Ok(()) => self.runs_already(newest.number),
            },
            (None, Some(running)) => self.runs_already(running),
            (None, None) => Error::Conflict {
                message: format!("there is no build for {}", self.name),
                hint: Some("cictl build makes one of the base branch".into()),
            },
        }
    }

    fn runs_already(&self, number: u32) -> Error {
        Error::Conflict {
            message: format!("build {number} runs in {} already", self.name),
            hint: Some(format!(
                "cictl promote {} {number} deploys it once more",
                self.name
            )),
        }
    }

    /// What happened to the database since a build ran here last.
    fn since(&self, number: u32) -> Vec<String> {
        let later: Vec<&Deployment> = self
            .past
            .iter()
            .take_while(|old| old.build != number)
            .collect();
        let released: Vec<String> = later
            .iter()
            .filter(|old| old.released)
            .map(|old| old.build.to_string())
            .collect();
        let mut notes = Vec::new();
        if !released.is_empty() {
            notes.push(format!(
                "release commands ran since, of build {}: what they changed in the database is not taken back",
                released.join(", ")
            ));
        }
        // The oldest of them is the state that the build left.
        if let Some(backup) = later.iter().rev().find_map(|old| old.backup.as_ref()) {
            notes.push(format!(
                "a copy of the database from before is in {}",
                backup.display()
            ));
        }
        notes
    }

    async fn refuse_live_job(&self, cid: &Cid) -> Result<(), Error> {
        match &self.workspace {
            Some(workspace) => super::refuse_live_job(cid, workspace).await,
            None => Ok(()),
        }
    }

    async fn begin(
        self,
        cid: &Cid,
        permit: crate::authz::Permit,
        build: &Build,
        releases: bool,
    ) -> Result<Begun, Error> {
        refuse_full_disk(cid, &self.project, "a deployment")?;
        let by = permit.actor().to_string();
        let subject = match self.workspace {
            Some(workspace) => {
                let state = workspace.state;
                Subject::Existing(Box::new(workspace), state)
            }
            None => Subject::New {
                candidates: vec![draft(cid, &self.project, &self.name, permit.uid())],
                // The project file says how many there are.
                quota: Quota {
                    in_all: u32::MAX,
                    per_project: u32::MAX,
                    per_creator: u32::MAX,
                },
            },
        };
        let order = Order::DeployBuild {
            project: self.project,
            build: Box::new(build.clone()),
            by,
            releases,
        };
        match submit(cid, permit, subject, order).await {
            // Another first deployment was quicker.
            Err(Error::Exists { job: Some(job), .. }) => Err(Error::JobInTheWay {
                job,
                kind: JobKind::Deploy,
            }),
            begun => begun,
        }
    }
}

/// The row of a stage to which nothing was deployed yet.
fn draft(cid: &Cid, project: &Project, name: &Name, uid: u32) -> Workspace {
    let url = cid
        .sys
        .site
        .url(&project.host_for(name), project.is_https(name));
    Workspace {
        id: 0,
        email: Email::of_stage(name),
        project: project.name.clone(),
        state: WorkspaceState::Creating,
        port: None,
        branch_gone_at: None,
        directory: Projects::work_dir(project, &cid.layout.work_root).join(name.as_str()),
        branch: String::new(),
        url,
        commit: None,
        deployment: 0,
        created_at: jiff::Timestamp::now(),
        job: Uuid::nil(),
        creator: Creator::User(uid),
        name: name.clone(),
    }
}
