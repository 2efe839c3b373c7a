//! A stage, and what it says about builds.

use super::PAST;
use crate::{
    authz::Permit,
    cid::Cid,
    config::{Project, Projects, Stage},
    domain::{
        Build, BuildState, Creator, Deployment, JobKind, Name, Owner, Workspace, WorkspaceState,
    },
    error::Error,
    operation::{Begun, create::refuse_full_disk, refuse_live_job, submit},
    plan::Order,
    store::{Quota, Subject},
};
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// A stage, and what it says about builds.
pub(super) struct Place {
    pub(super) project: Arc<Project>,
    pub(super) name: Name,
    pub(super) stage: Stage,
    pub(super) workspace: Option<Workspace>,
    /// The newest first.
    pub(super) past: Vec<Deployment>,
    /// The stage before it, and what ran there; `None`: it is the first.
    after: Option<(Name, BTreeSet<u32>)>,
    /// What runs in the stage before it now.
    offered: Option<u32>,
    /// The stage before it.
    before: Option<Workspace>,
    /// Where its branch was when the remote was asked last.
    pub(super) head: Option<String>,
}

impl Place {
    pub(super) async fn of(cid: &Cid, project: &Project, name: &Name) -> Result<Self, Error> {
        let stage = project.stage(name).cloned();
        let stage = stage.ok_or_else(|| Error::not_found(format!("there is no stage {name}")))?;
        let row = |name: &Name| cid.store.stage(project.name.clone(), name.clone());
        let past = async |workspace: &Option<Workspace>| match workspace {
            Some(workspace) => cid.store.deployments(workspace.id, PAST).await,
            None => Ok(Vec::new()),
        };
        let workspace = row(name).await?;
        let (mut offered, mut before) = (None, None);
        let after = match &stage.after {
            Some(after) => {
                before = row(after).await?;
                let there = past(&before).await?;
                offered = there.first().map(|running| running.build);
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
            offered,
            before,
            past: past(&workspace).await?,
            project: Arc::new(project.clone()),
            name: name.clone(),
            stage,
            workspace,
            after,
        })
    }

    pub(super) fn running(&self) -> Option<u32> {
        self.past.first().map(|running| running.build)
    }

    /// The newest of these builds that ran here, is older than the present one, and was not taken back.
    pub(super) fn previous(&self, builds: &[Build]) -> Option<u32> {
        let running = self.running()?;
        let past = not_taken_back(self.past.iter().map(|old| old.build));
        let there = builds.iter().map(|build| build.number);
        let older = there.filter(|build| *build < running && past.contains(build));
        older.max()
    }

    /// Why a build may not run here; the hint says what to do.
    pub(super) fn refuse(&self, build: &Build, older: bool) -> Result<(), Error> {
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
            BuildState::Superseded => {
                return conflict(
                    format!(
                        "build {number} may not run in {name}: a newer push took its place before it was made"
                    ),
                    "cictl build COMMIT makes a build of its commit",
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

    /// Whether a build is of the stage's branch; for a stage with `after`, whether it runs there now.
    fn is_meant(&self, build: &Build) -> bool {
        if self.after.is_some() {
            return self.offered == Some(build.number);
        }
        let branch = branch_of(&self.project, &self.stage);
        // One commit may be of two branches, and is built once.
        let is_head = self.head.as_ref() == Some(&build.source.commit);
        branch.is_none_or(|branch| build.source.reference == branch || is_head)
    }

    pub(super) fn is_newer(&self, build: &Build) -> bool {
        self.running().is_none_or(|running| build.number > running)
    }

    /// The newest build that may run here and does not yet.
    pub(super) fn newest<'a>(&self, builds: &'a [Build]) -> Option<&'a Build> {
        builds.iter().find(|build| {
            self.is_meant(build) && self.is_newer(build) && self.refuse(build, false).is_ok()
        })
    }

    /// Why no build may run here next. Where there is a newer one, the reason is that build's.
    pub(super) fn nothing_new(&self, builds: &[Build]) -> Error {
        let meant = builds.iter().find(|build| self.is_meant(build));
        match (&self.after, meant) {
            (Some((after, _)), None) => {
                return Error::Conflict {
                    message: format!("nothing runs in {after} yet"),
                    hint: Some(format!("cictl promote {after}")),
                };
            }
            // It is older than what runs here, or its verdict counts by now.
            (Some(_), Some(build)) if self.running() != Some(build.number) => {
                if let Err(error) = self.refuse(build, false) {
                    return error;
                }
            }
            _ => {}
        }
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

    /// The build that a rollback goes to: this one, or the newest of `builds` that is older than what runs.
    ///
    /// # Errors
    /// The build never ran in this stage or runs there now, or there is no build to go back to.
    pub(super) fn back_to(&self, number: Option<u32>, builds: &[Build]) -> Result<u32, Error> {
        let name = &self.name;
        let number = match number {
            Some(number) if self.past.iter().any(|old| old.build == number) => number,
            Some(number) => {
                return Err(Error::Conflict {
                    message: format!("build {number} never ran in {name}"),
                    hint: Some(format!(
                        "cictl promote {name} {number} takes one that passed"
                    )),
                });
            }
            None => self.previous(builds).ok_or_else(|| self.no_older())?,
        };
        match self.running() == Some(number) {
            true => Err(self.runs_already(number)),
            false => Ok(number),
        }
    }

    fn no_older(&self) -> Error {
        let (name, running) = (&self.name, self.running());
        let is_older = |old: &Deployment| Some(old.build) < running;
        match self.past.iter().any(is_older) {
            true => Error::Conflict {
                message: format!(
                    "no older build ran in {name} that is there and was not taken back"
                ),
                hint: Some(format!(
                    "cictl rollback {name} N takes one that is there all the same"
                )),
            },
            false => Error::Conflict {
                message: format!("no older build ran in {name}"),
                hint: None,
            },
        }
    }

    /// Whether release commands may run: the project file names some, or leaves them to the repository.
    pub(super) fn may_release(&self) -> bool {
        let own = self.project.app.release.as_ref();
        own.is_none_or(|commands| !commands.is_empty())
    }

    /// Whether the database is copied before they do.
    pub(super) fn backs_up(&self) -> bool {
        !self.stage.backup.is_empty()
    }

    pub(super) fn runs_already(&self, number: u32) -> Error {
        Error::Conflict {
            message: format!("build {number} runs in {} already", self.name),
            hint: Some(format!(
                "cictl promote {} {number} deploys it once more",
                self.name
            )),
        }
    }

    /// What happened to the database since a build ran here last.
    pub(super) fn since(&self, number: u32) -> Vec<String> {
        let later: Vec<&Deployment> = self
            .past
            .iter()
            .take_while(|old| old.build != number)
            .collect();
        let mut released: Vec<String> = Vec::new();
        for old in later.iter().filter(|old| old.released) {
            let build = old.build.to_string();
            if !released.contains(&build) {
                released.push(build);
            }
        }
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

    pub(super) async fn refuse_live_job(&self, cid: &Cid) -> Result<(), Error> {
        match &self.workspace {
            Some(workspace) => refuse_live_job(cid, workspace).await,
            None => Ok(()),
        }
    }

    /// Fails where the stage before does not run this build any more, or is about to run another: what cid does by
    /// itself must not be quicker than a person who takes it back.
    pub(super) async fn refuse_overtaken(
        &self,
        cid: &Cid,
        number: Option<u32>,
    ) -> Result<(), Error> {
        let Some(before) = &self.before else {
            return Ok(());
        };
        refuse_live_job(cid, before).await?;
        match self.offered == number && before.state == WorkspaceState::Ready {
            true => Ok(()),
            false => Err(Error::Conflict {
                message: format!("{} runs another build by now", before.name),
                hint: None,
            }),
        }
    }

    /// Fails where the stage's secrets file cannot be used: what runs is what it says now, also after a rollback.
    fn refuse_without_secrets(&self) -> Result<(), Error> {
        match self.project.seen_within(&self.name) {
            Ok(_) => Ok(()),
            Err(fault) => Err(Error::Precondition {
                message: format!(
                    "nothing can be deployed to {}: {}",
                    self.name, fault.message
                ),
                hint: Some(fault.hint.unwrap_or_else(|| {
                    "its secrets_file names it: mend it or put it back; what runs there runs on"
                        .into()
                })),
            }),
        }
    }

    pub(super) async fn begin(
        self,
        cid: &Cid,
        permit: Permit,
        build: &Build,
        releases: bool,
    ) -> Result<Begun, Error> {
        self.refuse_without_secrets()?;
        // Going back writes next to nothing, and may be what ends a full disk.
        if releases {
            refuse_full_disk(cid, &self.project, "a deployment")?;
        }
        let by = permit.actor().to_string();
        if let Some(call) = permit.call() {
            call.concerns_build(build.number);
        }
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
        let (stage, number) = (self.name, build.number);
        match submit(cid, permit, subject, order).await {
            Ok(begun) => {
                let project = begun.workspace.project.clone();
                cid.store.set_tried(project, stage, number).await?;
                Ok(begun)
            }
            // Another first deployment was quicker.
            Err(Error::Exists { job: Some(job), .. }) => Err(Error::JobInTheWay {
                job,
                kind: JobKind::Deploy,
            }),
            begun => begun,
        }
    }
}

/// Of the builds that ran in a stage, the newest first, those that did not make way for an older one when they ran last.
fn not_taken_back(past: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    let (mut judged, mut good) = (BTreeSet::new(), BTreeSet::new());
    let mut after = 0;
    for build in past {
        if judged.insert(build) && after >= build || after == 0 {
            good.insert(build);
        }
        after = build;
    }
    good
}

/// The row of a stage to which nothing was deployed yet.
fn draft(cid: &Cid, project: &Project, name: &Name, uid: u32) -> Workspace {
    let url = cid
        .sys
        .site
        .url(&project.host_for(name), project.is_https(name));
    Workspace {
        id: 0,
        owner: Owner::Stage(name.clone()),
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

/// The branch whose builds a stage takes; one with `after` has none.
fn branch_of<'a>(project: &'a Project, stage: &'a Stage) -> Option<&'a str> {
    let own = stage.branch.as_ref().map(|branch| branch.as_str());
    match &stage.after {
        Some(_) => None,
        None => Some(own.unwrap_or(&project.git.base)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_way_for_an_older_one_is_nothing_to_go_back_to() {
        let of = |past: &[u32]| {
            let newest_first = past.iter().rev().copied();
            not_taken_back(newest_first).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&[9, 12, 9, 13, 9, 21]), [9, 21]);
        assert_eq!(of(&[1, 2, 1]), [1]);
        // It came back and stayed until a newer one.
        assert_eq!(of(&[1, 2, 1, 2, 3]), [1, 2, 3]);
        assert_eq!(of(&[2, 2]), [2]);
        assert_eq!(of(&[]), [0; 0]);
    }
}
