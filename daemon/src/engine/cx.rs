//! What a running step can reach.

use super::{Inner, output::redact, plan::Step};
use crate::{
    config::{Limits, Project, Stage},
    domain::{About, Build, Name, Owner, ProjectName, UnitName},
    store::{Artifact, Debt, Store},
    system::{
        Effect, System,
        helpers::{Call, Identity, WorkspaceUser, ask},
        queue::{Resource, Turn, Who},
    },
};
use cid_protocol::{
    budget::{self, ERROR_TEXT, NOTES},
    fault::{Fault, FaultContext},
    request::{Ask, Fetch, Fetched},
};
use serde_json::Value;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a helper may take to end when it is told to.
const KILLED_WITHIN: Duration = Duration::from_secs(15);

/// What a running step can reach.
pub struct Cx {
    pub(super) inner: Arc<Inner>,
    pub(super) job: Uuid,
    pub(super) about: About,
    pub(super) project: ProjectName,
    pub(super) unit: UnitName,
    /// KIND -> output of the steps before.
    pub(super) outputs: HashMap<String, Value>,
    pub(super) lines: mpsc::Sender<String>,
    pub(super) notes: Mutex<Vec<String>>,
    pub(super) kept: Mutex<Option<String>>,
    pub(super) idle: AtomicBool,
    pub(crate) cancel: CancellationToken,
    pub(super) limit: Duration,
    /// Values that must not appear in anything that people see.
    pub(super) secrets: Vec<String>,
    pub(super) who: Arc<Who>,
    pub(super) taken_back: bool,
}

impl Cx {
    /// The outside.
    pub fn sys(&self) -> &System {
        &self.inner.sys
    }

    /// The ledger.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// How long things may take.
    pub fn limits(&self) -> &Limits {
        &self.inner.settings.limits
    }

    /// The job that the step belongs to.
    pub fn job(&self) -> Uuid {
        self.job
    }

    /// Number of the workspace; 0, which no workspace has, for a build.
    pub fn workspace(&self) -> i64 {
        self.about.workspace()
    }

    /// The build's row, or the template's.
    ///
    /// # Errors
    /// The job is about neither, or the ledger fails.
    pub async fn build(&self) -> Result<Build, Fault> {
        let About::Build { id, .. } = self.about else {
            return Err(Fault::new("cannot go on: the job is about no build"));
        };
        let found = self.store().made(id).await;
        found?.ok_or_else(|| Fault::new("cannot go on: the ledger has no such build"))
    }

    /// The workspace's or the build's folder.
    pub fn directory(&self) -> &Path {
        self.about.directory()
    }

    /// `PROJECT.NAME` of the workspace; a build has one that no workspace can have.
    pub fn unit(&self) -> &UnitName {
        &self.unit
    }

    /// Whose workspace the job is about; `None` for a build.
    pub fn owner(&self) -> Option<&Owner> {
        self.about.owner()
    }

    /// The project's name.
    pub fn project_name(&self) -> &ProjectName {
        &self.project
    }

    /// The project's file as it is or, where it is bad or gone by now, as it last was good; for a stage with what is
    /// its own. Secrets are read here and never journalled.
    ///
    /// # Errors
    /// Nothing is known of the project, or the stage's secrets cannot be read.
    pub fn project(&self) -> Result<Arc<Project>, Fault> {
        let project = self.project_file()?;
        match self.about.stage() {
            Some(stage) => project.seen_within(stage),
            None => Ok(project),
        }
    }

    /// The same without what is the stage's own, for what must be possible without its secrets.
    ///
    /// # Errors
    /// Nothing is known of the project.
    pub fn project_file(&self) -> Result<Arc<Project>, Fault> {
        let project = self.inner.projects.standing(self.project.as_str());
        let project = project.map_err(|error| Fault::new(error.to_string()))?;
        Ok(match self.about.stage() {
            Some(stage) => self.inner.projects.with_stage(project, stage),
            None => project,
        })
    }

    /// cid's copy of the certificate that the workspace or stage answers with; it may be missing.
    ///
    /// # Errors
    /// As of [`Cx::project`] and [`Cx::name`].
    pub fn certificate(&self) -> Result<PathBuf, Fault> {
        let (project, name) = (self.project_file()?, self.name()?);
        let certificates = &self.sys().certificates;
        Ok(certificates.path_of(&self.project, Some(&project), &name))
    }

    /// The name of the workspace or stage.
    ///
    /// # Errors
    /// The job is about a build.
    pub fn name(&self) -> Result<Name, Fault> {
        match &self.about {
            About::Workspace { name, .. } => Ok(name.clone()),
            About::Build { .. } => Err(Fault::new("cannot go on: the job is about no workspace")),
        }
    }

    /// The stage that the job is about, by this project file.
    pub fn stage<'a>(&self, project: &'a Project) -> Option<&'a Stage> {
        project.stage(self.about.stage()?)
    }

    /// Whether the job is about a stage.
    pub fn is_of_stage(&self) -> bool {
        self.about.stage().is_some()
    }

    /// The output that an earlier step of this job left for later ones.
    ///
    /// # Errors
    /// The plan has no such step before this one.
    pub fn output<S: Step>(&self) -> Result<S::Output, Fault> {
        let value = self.outputs.get(S::KIND).cloned();
        let value =
            value.ok_or_else(|| Fault::new(format!("cannot go on: {} has not run", S::KIND)))?;
        serde_json::from_value(value).cannot(format!("read what {} left", S::KIND))
    }

    /// Has a helper do something; its output goes to the job's log.
    ///
    /// # Errors
    /// The helper's.
    pub async fn ask<A: Ask>(&self, identity: Identity, request: A) -> Result<A::Reply, Fault> {
        let call = Call {
            job: self.job,
            identity,
            limit: self.limit,
            lines: self.lines.clone(),
            cancel: self.cancel.clone(),
            who: Arc::clone(&self.who),
        };
        ask(self.inner.sys.helpers.as_ref(), &call, request).await
    }

    /// The same; each line goes to `each` as well.
    ///
    /// # Errors
    /// The helper's.
    pub async fn ask_hearing<A: Ask>(
        &self,
        identity: Identity,
        request: A,
        each: impl FnMut(&str) + Send + 'static,
    ) -> Result<A::Reply, Fault> {
        let (lines, passing) = self.heard(each);
        let call = Call {
            job: self.job,
            identity,
            limit: self.limit,
            lines,
            cancel: self.cancel.clone(),
            who: Arc::clone(&self.who),
        };
        let answer = ask(self.inner.sys.helpers.as_ref(), &call, request).await;
        // The lines end with it.
        drop(call);
        let _ = passing.await;
        answer
    }

    /// Takes lines for the job's log; each goes to `each` as well, without secrets.
    fn heard(
        &self,
        mut each: impl FnMut(&str) + Send + 'static,
    ) -> (mpsc::Sender<String>, JoinHandle<()>) {
        let (lines, mut coming) = mpsc::channel::<String>(64);
        let (log, secrets) = (self.lines.clone(), self.secrets.clone());
        let passing = tokio::spawn(async move {
            while let Some(line) = coming.recv().await {
                each(&redact(&secrets, line.clone()));
                // Only a log that has ended refuses lines.
                let _ = log.send(line).await;
            }
        });
        (lines, passing)
    }

    /// The same within a time of its own, in which waiting counts. `None`: it took longer, and is dead.
    /// Each line goes to `each` as well.
    ///
    /// # Errors
    /// The helper's.
    pub async fn ask_for<A: Ask>(
        &self,
        identity: Identity,
        request: A,
        limit: Duration,
        each: impl FnMut(&str) + Send + 'static,
    ) -> Result<Option<A::Reply>, Fault> {
        let (lines, passing) = self.heard(each);
        let cancel = self.cancel.child_token();
        let call = Call {
            job: self.job,
            identity,
            limit: limit.max(self.limit),
            lines,
            cancel: cancel.clone(),
            who: Arc::clone(&self.who),
        };
        let helpers = self.inner.sys.helpers.as_ref();
        // Owns the call, so that the lines end with it.
        let asked = async move { ask(helpers, &call, request).await };
        let mut asked = Box::pin(asked);
        let ended = tokio::select! {
            ended = &mut asked => Some(ended),
            () = tokio::time::sleep(limit) => {
                cancel.cancel();
                // A helper that does not end is killed with the job's others.
                let _ = tokio::time::timeout(KILLED_WITHIN, asked.as_mut()).await;
                None
            }
        };
        drop(asked);
        let _ = passing.await;
        ended.transpose()
    }

    /// The identity for git over the network.
    pub fn git(&self) -> Identity {
        Identity::Git(self.project.clone())
    }

    /// The identity that works in the workspace's or the build's folder.
    pub fn user(&self) -> Identity {
        match &self.about {
            About::Workspace { id, directory, .. } => Identity::Workspace(WorkspaceUser {
                unit: self.unit.clone(),
                number: *id,
                directory: directory.clone(),
            }),
            About::Build { directory, .. } => {
                Identity::Builder(self.project.clone(), directory.clone())
            }
        }
    }

    /// The identity that ends everything that runs as the workspace's user.
    pub fn reaper(&self) -> Identity {
        Identity::Reaper(self.unit.clone(), self.about.workspace())
    }

    /// The identity that builds the shared environment of this key.
    pub fn builder(&self, key: &str) -> Identity {
        Identity::Build(self.project.clone(), key.to_owned())
    }

    /// Adds a line to the job's log.
    pub async fn line(&self, line: impl Into<String> + Send) {
        // Only a log that has ended refuses lines.
        let _ = self.lines.send(line.into()).await;
    }

    /// Whether the job is on its way back: [`Step::finish`] is called in both directions.
    pub fn is_taken_back(&self) -> bool {
        self.taken_back
    }

    /// There is nothing to do: those who watch the job need not hear of the step.
    pub fn idle(&self) {
        self.idle.store(true, Ordering::Relaxed);
    }

    /// A sentence for those who watch the job.
    pub fn note(&self, text: impl Into<String>) {
        let text = self.redact(text.into());
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES.most {
            notes.push(budget::cut(&text, ERROR_TEXT.most).to_owned());
        }
    }

    /// Adds to the job's failure what the way back did not undo, and where it is.
    pub fn kept(&self, text: impl Into<String>) {
        let text = self.redact(text.into());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(budget::cut(&text, ERROR_TEXT.most).to_owned());
    }

    /// Replaces secrets by stars.
    pub(super) fn redact(&self, text: String) -> String {
        redact(&self.secrets, text)
    }

    /// Brings the project's mirror up to date; jobs that wait for it share one fetch.
    ///
    /// # Errors
    /// The remote cannot be reached or has no base branch.
    pub async fn fetch(&self, request: Fetch) -> Result<Fetched, Fault> {
        let ask = |request| self.ask(self.git(), request);
        self.inner
            .mirrors
            .fetch(&self.project, request, &self.who, &self.cancel, ask)
            .await
    }

    /// Whether a Python may be fetched that the machine does not have.
    pub fn may_fetch_python(&self) -> bool {
        self.inner.settings.python_downloads
    }

    /// How large the project's mirror may get, in bytes.
    pub fn max_repository(&self) -> u64 {
        let settings = &self.inner.settings;
        match self.project() {
            Ok(project) => project.limits.max_repository(settings),
            // A project without a readable file has no limits of its own.
            Err(_) => *settings.max_repository,
        }
    }

    /// Waits for a turn. The wait does not count as the step's time, and people who watch the job see it.
    ///
    /// # Errors
    /// The job is cancelled.
    pub async fn turn(&self, resource: Resource) -> Result<Turn, Fault> {
        let queues = &self.inner.sys.queues;
        queues.take(resource, &self.who, &self.cancel).await
    }

    /// Takes a turn if it is free.
    pub fn try_turn(&self, resource: Resource) -> Option<Turn> {
        self.inner.sys.queues.try_take(resource, &self.who)
    }

    /// Records the new intended content of a file of the workspace; `None`: there is to be none.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn record(&self, artifact: Artifact, content: Option<&str>) -> Result<(), Fault> {
        let (workspace, content) = (self.about.workspace(), content.map(str::to_owned));
        let stored = self.store().set_artifact(workspace, artifact, content);
        Ok(stored.await?)
    }

    /// Records what cannot be done now and will be tried again.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn owe(&self, debt: Debt, reason: String) -> Result<(), Fault> {
        let reason = self.redact(reason);
        self.note(format!(
            "still to do, and being tried again: {debt} ({reason})"
        ));
        let stored = self.store().owe(self.job, self.unit.clone(), debt, reason);
        Ok(stored.await?)
    }

    /// The same, where an engine says that it could not be told.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn owe_effect(&self, effect: Effect, debt: Debt) -> Result<(), Fault> {
        match effect {
            Effect::Done => Ok(()),
            Effect::Owed(reason) => self.owe(debt, reason).await,
        }
    }
}
