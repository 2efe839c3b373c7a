//! Carries plans out, or undoes them. The contract is in `README.md` beside this file.

mod back;
mod causes;
pub mod cx;
mod forward;
mod hooks;
mod journal;
mod left_out;
mod mirrors;
mod output;
pub mod plan;
mod room;
mod run;
#[cfg(test)]
mod tests;
mod work;

pub use cx::Cx;
pub use hooks::{Hooks, NoHooks, Phase, Point};
pub use plan::{AnyStep, Decode, Plan, Planned, Step, StepEntry, UnknownStep};

use crate::domain::event::What;
use crate::{
    authz::{Actor, Permit},
    config::{Project, Projects, Settings},
    domain::{Build, Creator, JobKind, JobState, Workspace},
    error::Error,
    store::{Appended, AppendedBuild, Bound, JobRow, NewBuild, NewJob, Reached, Store, Subject},
    system::{
        System,
        helpers::{Identity, ask_once},
        queue::{Waiting, Who},
    },
};
use cid_kernel::room as disk;
use cid_protocol::{
    fault::Fault,
    request::{Fetch, Fetched},
};
use mirrors::Mirrors;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// A refusal at the limit names at most this many workspaces.
const NAMED: usize = 20;

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// What all jobs share.
pub(crate) struct Inner {
    pub(crate) sys: System,
    pub(crate) store: Store,
    pub(crate) projects: Arc<Projects>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) hooks: Arc<dyn Hooks>,
    pub(crate) decode: Decode,
    pub(crate) mirrors: Mirrors,
    pub(crate) stopping: CancellationToken,
    live: Mutex<HashMap<Uuid, Live>>,
    running: watch::Sender<usize>,
    tasks: TaskTracker,
    /// Held for writing while no job may begin.
    beginning: Arc<RwLock<()>>,
}

/// A job that a task of this daemon carries.
struct Live {
    /// `None`: all its steps are applied, and it is ending.
    cancel: Option<CancellationToken>,
    seq: watch::Sender<u64>,
}

/// A job somebody asks for.
pub struct Submission {
    /// The kind of job.
    pub kind: JobKind,
    /// The workspace it is about.
    pub subject: Subject,
    /// A build that the plan needs.
    pub build: Option<i64>,
    /// Makes its plan, in the transaction in which the workspace gets its name and number.
    pub plan: Box<dyn FnOnce(&Workspace) -> Plan + Send>,
}

impl Engine {
    /// An engine with no job; [`Engine::recover`] resumes those of the ledger. `decode` knows the steps.
    pub fn new(
        sys: System,
        store: Store,
        projects: Arc<Projects>,
        settings: Arc<Settings>,
        hooks: Arc<dyn Hooks>,
        decode: Decode,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            projects,
            settings,
            hooks,
            decode,
            mirrors: Mirrors::new(Arc::clone(&sys.queues)),
            stopping: CancellationToken::new(),
            live: Mutex::default(),
            running: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            beginning: Arc::default(),
            sys,
        }))
    }

    /// Journals a job and starts it. Needs a [`Permit`] and consumes it.
    ///
    /// # Errors
    /// An obstacle, or the ledger; nothing is changed then.
    pub async fn submit(
        &self,
        permit: Permit,
        submission: Submission,
    ) -> Result<(Workspace, Uuid), Error> {
        let _beginning = self.0.beginning.read().await;
        let id = Uuid::now_v7();
        let Submission {
            kind,
            subject,
            build,
            plan,
        } = submission;
        let new = NewJob {
            id,
            kind,
            subject,
            build,
            plan: Box::new(move |workspace| serde_json::to_value(plan(workspace))),
            limit: self.0.settings.max_jobs.get(),
            follows_push: matches!(permit.actor(), Actor::Trigger(..)),
        };
        if kind == JobKind::Delete {
            // Jobs that free space must be possible on a full disk.
            self.0.store.ensure_room();
            disk::of_units(&self.0.sys.layout.run_dir).ensure_room();
        }
        let workspace = match self.0.store.submit(new).await? {
            Appended::Job(workspace) => *workspace,
            Appended::Exists(existing, job) => {
                return Err(Error::Exists {
                    email: existing.owner.to_string(),
                    project: existing.project.to_string(),
                    url: existing.url,
                    job,
                });
            }
            Appended::InTheWay(job, kind) => return Err(Error::JobInTheWay { job, kind }),
            Appended::Gone => return Err(Error::not_found("the workspace has just been deleted")),
            Appended::NoBuild => {
                return Err(Error::not_found("the build has just been removed"));
            }
            Appended::NoName => {
                return Err(Error::Precondition {
                    message: "every name for this address is taken".into(),
                    hint: None,
                });
            }
            Appended::Full(reached) => return Err(full(&reached)),
            Appended::TooMany(oldest) => {
                return Err(too_many(self.0.settings.max_jobs.get(), &oldest));
            }
        };
        tracing::info!(job = %id, project = %workspace.project, workspace = %workspace.name, uid = permit.uid(), caller = %permit, "job accepted: {kind:?}");
        // The helper that it needs first can start while its plan is read.
        let ahead = match kind {
            JobKind::Create => Some(Identity::Git(workspace.project.clone())),
            _ => None,
        };
        self.spawn(id, run::Begin::New { ahead });
        Ok((workspace, id))
    }

    /// Journals the job of a new build or template and starts it. Needs a [`Permit`] and consumes it. The second
    /// value is false where the same has been built, or is being built.
    ///
    /// # Errors
    /// There are too many jobs, or the ledger fails; nothing is changed then.
    pub async fn submit_build(
        &self,
        permit: Permit,
        kind: JobKind,
        draft: Build,
        again: bool,
        creator: Creator,
        plan: impl FnOnce(&Build) -> Plan + Send + 'static,
    ) -> Result<(Build, bool), Error> {
        let _beginning = self.0.beginning.read().await;
        let limit = self.0.settings.max_jobs.get();
        let new = NewBuild {
            kind,
            draft,
            again,
            creator,
            plan: Box::new(move |build| serde_json::to_value(plan(build))),
            limit,
        };
        match self.0.store.submit_build(new).await? {
            AppendedBuild::Job(build) => {
                tracing::info!(job = %build.job, project = %build.project, uid = permit.uid(), caller = %permit, "{kind} {} accepted: {}", build.number, build.source.commit);
                self.spawn(build.job, run::Begin::New { ahead: None });
                Ok((*build, true))
            }
            AppendedBuild::Exists(build) => Ok((*build, false)),
            AppendedBuild::TooMany(oldest) => Err(too_many(limit, &oldest)),
        }
    }

    /// Resumes every job that an earlier daemon left; they run on their own.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn recover(&self) -> Result<usize, Error> {
        let jobs = self.0.store.live_jobs().await?;
        for job in &jobs {
            tracing::info!(job = %job.id, project = %job.project, "taking up the {:?} job of {}", job.kind, job.about);
            self.spawn(job.id, run::Begin::Again);
        }
        Ok(jobs.len())
    }

    /// Stops a job's running step and undoes the job.
    ///
    /// # Errors
    /// There is no such job, or it is not on its way there.
    pub async fn cancel(&self, permit: Permit, id: Uuid) -> Result<(), Error> {
        let job = self.job(id).await?;
        let live = self.live();
        let cancel = live.get(&id).map(|live| live.cancel.as_ref());
        let why = match (job.state, cancel) {
            (state, Some(Some(cancel))) if !state.is_ended() && job.failure.is_none() => {
                tracing::info!(job = %id, caller = %permit, "job cancelled");
                cancel.cancel();
                return Ok(());
            }
            (JobState::Running, Some(None)) => "it is ending".to_owned(),
            (state, _) => format!("it is {state:?}").to_lowercase(),
        };
        Err(Error::Precondition {
            message: format!("the job cannot be cancelled: {why}"),
            hint: None,
        })
    }

    /// Makes a stuck job continue.
    ///
    /// # Errors
    /// There is no such job, it is not stuck, or another job of its workspace is live.
    pub async fn retry(&self, permit: Permit, id: Uuid) -> Result<(), Error> {
        let _beginning = self.0.beginning.read().await;
        let job = self.job(id).await?;
        if job.state != JobState::Stuck {
            let message =
                format!("only a stuck job can be retried: it is {:?}", job.state).to_lowercase();
            return Err(Error::Precondition {
                message,
                hint: None,
            });
        }
        if let Some(other) = self.0.store.live_job_about(job.about).await? {
            return Err(Error::JobInTheWay {
                job: other.id,
                kind: other.kind,
            });
        }
        self.0.store.append(id, vec![What::Retried]).await?;
        tracing::info!(job = %id, caller = %permit, "job retried");
        self.spawn(id, run::Begin::Again);
        Ok(())
    }

    /// While this is held no job begins, and requests for one wait.
    pub async fn hold_jobs(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.0.beginning).write_owned().await
    }

    /// What a job waits for now, if it does.
    pub fn waiting(&self, id: Uuid) -> Option<Waiting> {
        self.0.sys.queues.waiting(id)
    }

    /// Tells, for a job that is being carried, each time its journal has grown (the last number).
    pub fn follow(&self, id: Uuid) -> Option<watch::Receiver<u64>> {
        self.live().get(&id).map(|live| live.seq.subscribe())
    }

    /// A job of the ledger.
    ///
    /// # Errors
    /// No such job, or the ledger fails.
    pub async fn job(&self, id: Uuid) -> Result<JobRow, Error> {
        self.0
            .store
            .job(id)
            .await?
            .ok_or_else(|| Error::not_found(format!("there is no job {id}")))
    }

    /// Brings a project's mirror up to date, tags included, for a question that belongs to no job.
    ///
    /// # Errors
    /// The remote cannot be reached or has no base branch.
    pub async fn fetch(
        &self,
        project: &Project,
        branch: &str,
        limit: Duration,
    ) -> Result<Fetched, Fault> {
        let request = Fetch {
            mirror: self.0.sys.layout.mirror(&project.name),
            remote: project.remote(),
            base: project.git.base.to_string(),
            branch: branch.to_owned(),
            tags: true,
            is_fresh: false,
            max_bytes: project.limits.max_repository(&self.0.settings),
        };
        let identity = Identity::Git(project.name.clone());
        let who = Arc::new(Who::cid(Some(project.name.clone()), "fetch"));
        let (helpers, stopping) = (self.0.sys.helpers.as_ref(), &self.0.stopping);
        self.0
            .mirrors
            .fetch(&project.name, request, &who, stopping, |request| {
                ask_once(helpers, identity, limit, stopping.clone(), request)
            })
            .await
    }

    /// How many jobs are being carried.
    pub fn running(&self) -> usize {
        self.live().len()
    }

    /// The same, and each time it has changed.
    pub fn watch_running(&self) -> watch::Receiver<usize> {
        self.0.running.subscribe()
    }

    /// Leaves all jobs where they are, for the next daemon; returns when nothing of them runs.
    pub async fn stop(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Returns when no job is being carried; for tests.
    pub async fn idle(&self) {
        let mut running = self.watch_running();
        // The sender is the engine's own.
        let _ = running.wait_for(|running| *running == 0).await;
    }

    fn spawn(&self, id: Uuid, begin: run::Begin) {
        if self.0.stopping.is_cancelled() {
            return;
        }
        let cancel = self.0.stopping.child_token();
        let (seq, _) = watch::channel(0);
        let live = Live {
            cancel: Some(cancel.clone()),
            seq: seq.clone(),
        };
        self.change_live(|all| all.insert(id, live));
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            run::carry(Arc::clone(&engine.0), id, begin, cancel, seq).await;
            engine.change_live(|all| all.remove(&id));
        });
    }

    fn change_live(&self, change: impl FnOnce(&mut HashMap<Uuid, Live>) -> Option<Live>) {
        let mut live = self.live();
        change(&mut live);
        // Under the lock, so that the last value sent is the current one.
        self.0.running.send_replace(live.len());
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Live>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// From now on the job cannot be cancelled.
    fn end_cancelling(&self, id: Uuid) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = live.get_mut(&id) {
            live.cancel = None;
        }
    }
}

/// Why no further job can start, with the longest-running ones.
fn too_many(limit: u32, oldest: &[JobRow]) -> Error {
    let now = jiff::Timestamp::now();
    let holder = |job: &JobRow| {
        let minutes = now.duration_since(job.created_at).as_mins().max(0);
        format!(
            "{} of {} in {}, {minutes} min",
            job.kind, job.about, job.project
        )
    };
    let mut named: Vec<String> = oldest.iter().map(holder).collect();
    let more = (limit as usize).saturating_sub(named.len());
    if more > 0 {
        named.push(format!("{more} more"));
    }
    Error::Exhausted {
        message: format!(
            "cannot begin a job: {limit} are at work, and there may be no more: {}",
            named.join("; ")
        ),
        hint: Some(
            "try again when one has ended, end one (cictl jobs cancel), or raise max_jobs in cid.toml"
                .into(),
        ),
    }
}

/// Why there can be no further workspace, with the existing ones.
fn full(reached: &Reached) -> Error {
    let Reached { bound, limit, have } = reached;
    let (of, key) = match bound {
        Bound::InAll => ("", "workspaces under [limits] in cid.toml"),
        Bound::PerProject => (
            " of this project",
            "workspaces under [limits] in the project file, or workspaces_per_project in cid.toml",
        ),
        Bound::PerCreator => (
            " of the same creator",
            "workspaces_per_creator under [limits] in cid.toml",
        ),
    };
    let named = have.iter().take(NAMED);
    let mut named: Vec<String> = named
        .map(|(email, project)| format!("{email} in {project}"))
        .collect();
    if have.len() > NAMED {
        named.push(format!("{} more", have.len() - NAMED));
    }
    Error::Exhausted {
        message: format!(
            "cannot make a workspace: there are {}{of}, and there may be {limit}: {}",
            have.len(),
            named.join(", ")
        ),
        hint: Some(format!(
            "delete one that nobody needs (cictl delete EMAIL -p PROJECT), or raise {key}"
        )),
    }
}
