//! What a running step can reach.

use super::{Inner, output::redact, plan::Step};
use crate::{
    config::{Limits, Project},
    domain::{ProjectName, UnitName},
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
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What a running step can reach.
pub struct Cx {
    pub(super) inner: Arc<Inner>,
    pub(super) job: Uuid,
    pub(super) workspace: i64,
    pub(super) directory: PathBuf,
    pub(super) project: ProjectName,
    pub(super) unit: UnitName,
    /// KIND -> output of the steps before.
    pub(super) outputs: HashMap<String, Value>,
    pub(super) lines: mpsc::Sender<String>,
    pub(super) notes: Mutex<Vec<String>>,
    pub(super) kept: Mutex<Option<String>>,
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

    /// Number of the workspace.
    pub fn workspace(&self) -> i64 {
        self.workspace
    }

    /// The workspace's folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `PROJECT.NAME` of the workspace.
    pub fn unit(&self) -> &UnitName {
        &self.unit
    }

    /// The project's name.
    pub fn project_name(&self) -> &ProjectName {
        &self.project
    }

    /// The project's current file; secrets are read here and never journalled.
    ///
    /// # Errors
    /// The file is gone or bad.
    pub fn project(&self) -> Result<Arc<Project>, Fault> {
        self.inner
            .projects
            .get(self.project.as_str())
            .map_err(|error| Fault::new(error.to_string()))
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

    /// The identity for git over the network.
    pub fn deploy(&self) -> Identity {
        Identity::Deploy(self.project.clone())
    }

    /// The identity of the workspace.
    pub fn user(&self) -> Identity {
        Identity::Workspace(WorkspaceUser {
            unit: self.unit.clone(),
            number: self.workspace,
            directory: self.directory.clone(),
        })
    }

    /// The identity that ends everything that runs as the workspace's user.
    pub fn reaper(&self) -> Identity {
        Identity::Reaper(self.unit.clone(), self.workspace)
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

    /// A sentence for whoever watches.
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
        let ask = |request| self.ask(self.deploy(), request);
        self.inner
            .mirrors
            .fetch(&self.project, request, &self.who, &self.cancel, ask)
            .await
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

    /// Records the new intended content of a file of the workspace.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn record(&self, artifact: Artifact, content: &str) -> Result<(), Fault> {
        let recorded = self
            .store()
            .set_artifact(self.workspace, artifact, content.to_owned())
            .await;
        recorded.map_err(|error| Fault::new(error.to_string()))
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
        let stored = self
            .store()
            .owe(self.job, self.unit.clone(), debt, reason)
            .await;
        stored.map_err(|error| Fault::new(error.to_string()))
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
