//! Starts helpers: processes that do one job's work under one identity.

use super::queue::Who;
use crate::domain::{ProjectName, UnitName, Workspace};
use async_trait::async_trait;
use cid_protocol::{
    fault::Fault,
    request::{Ask, Request},
};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Who does a piece of work. In the sandbox all are the user who runs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The project's deploy user: the network half of git.
    Deploy(ProjectName),
    /// The workspace's user: everything inside its tree.
    Workspace(WorkspaceUser),
    /// The workspace's own user once more, to end all that runs as it: behind walls of Landlock it would
    /// not see what that is.
    Reaper(UnitName, i64),
    /// The project's build user, on the shared environment of this key: others' are complete, and used.
    Build(ProjectName, String),
    /// Who brings in what builds run and must not change, e.g. uv. Runs no code of any repository. Also
    /// looks names up for nginx's test.
    Tools,
    /// Root with two capabilities, which may write this folder alone: what a workspace's user cannot remove.
    Purge(PathBuf),
    /// The same, which may write nothing: looks at trees that the daemon cannot look into.
    Look,
    /// The same, confined to one workspace: access lists of what the developer made there.
    Access(UnitName, PathBuf),
    /// Changes the machine's accounts. Stands ready.
    Accounts,
    /// Tests nginx's configuration, without a network. Stands ready.
    NginxTest,
}

/// A workspace's user and where it works, as the ledger knows them: the project's file may be gone, or say something else by now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkspaceUser {
    /// What it is called.
    pub unit: UnitName,
    /// Its number in the ledger, which is its account's too.
    pub number: i64,
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
}

impl WorkspaceUser {
    /// The user of a workspace.
    pub fn of(workspace: &Workspace) -> Self {
        Self {
            unit: workspace.unit(),
            number: workspace.id,
            directory: workspace.directory.clone(),
        }
    }
}

/// The frame of one call to a helper.
#[derive(Clone, Debug)]
pub struct Call {
    /// On whose account; one helper per job and identity serves its calls in turn.
    pub job: Uuid,
    /// Under which identity.
    pub identity: Identity,
    /// After this time the helper and all that it started are killed.
    pub limit: Duration,
    /// Where output lines go (without line feed, at most 16 KiB each). A full queue makes the
    /// helper wait.
    pub lines: mpsc::Sender<String>,
    /// When fired, the helper and all that it started are killed.
    pub cancel: CancellationToken,
    /// For whom, where something has to be waited for.
    pub who: Arc<Who>,
}

impl Identity {
    /// Whether a helper of this identity may stand ready for the next job that wants it: who that will be is
    /// known before.
    pub fn may_wait(&self) -> bool {
        matches!(self, Self::Deploy(_))
    }
}

/// Starts helpers and carries requests to them.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// Has one request done. Use [`ask`], which knows the reply's type.
    ///
    /// # Errors
    /// The helper's own [`Fault`]; or it cannot be started, was cancelled, took too long, died.
    async fn call(&self, call: &Call, request: Request) -> Result<serde_json::Value, Fault>;

    /// Starts a job's helper for an identity ahead of its first call; one that cannot be started
    /// says so at that call.
    async fn prepare(&self, _job: Uuid, _identity: Identity) {}

    /// Ends the connections that a job's helper of this identity keeps open for what follows. Starts no
    /// helper for it.
    async fn hang_up(&self, _job: Uuid, _identity: &Identity) {}

    /// Ends what waits for a project that is not one of these any more, and exchanges what would be
    /// otherwise now: to be called when projects were read again.
    async fn look_over(&self, _projects: &BTreeSet<ProjectName>) {}

    /// Jobs with helpers that nobody may hold any more, such as an earlier daemon's.
    fn strays(&self) -> BTreeSet<Uuid> {
        BTreeSet::new()
    }

    /// Ends all units in which a project's environments are built, whatever job they are of; none in a
    /// sandbox.
    ///
    /// # Errors
    /// systemd cannot end one.
    async fn end_builds(&self, _project: &ProjectName) -> Result<(), Fault> {
        Ok(())
    }

    /// Ends the helpers that nobody uses, those that stand ready too, and starts no others for them; for a
    /// daemon that is about to end.
    async fn stop(&self) {}

    /// Ends the helpers of a job and everything they started; returns when all are dead. Also ends
    /// those that an earlier daemon started for it.
    ///
    /// # Errors
    /// Something of it lives on after several seconds.
    async fn end(&self, job: Uuid) -> Result<(), Fault>;
}

/// Has one request done that belongs to no job, and ends its helper. Its output goes nowhere.
///
/// # Errors
/// As [`Launcher::call`].
pub async fn ask_once<A: Ask>(
    launcher: &dyn Launcher,
    identity: Identity,
    limit: Duration,
    cancel: CancellationToken,
    request: A,
) -> Result<A::Reply, Fault> {
    let job = Uuid::now_v7();
    let project = match &identity {
        Identity::Deploy(project) => Some(project.clone()),
        _ => None,
    };
    let (lines, mut ignored) = mpsc::channel(64);
    let drain = tokio::spawn(async move { while ignored.recv().await.is_some() {} });
    let call = Call {
        job,
        identity,
        limit,
        lines,
        cancel,
        who: Arc::new(Who::nobody(project, "question")),
    };
    let reply = ask(launcher, &call, request).await;
    if let Err(fault) = launcher.end(job).await {
        tracing::warn!("{fault}");
    }
    drain.abort();
    reply
}

/// Has one request done and reads its reply.
///
/// # Errors
/// As [`Launcher::call`].
pub async fn ask<A: Ask>(
    launcher: &dyn Launcher,
    call: &Call,
    request: A,
) -> Result<A::Reply, Fault> {
    let reply = launcher.call(call, request.into_request()).await?;
    serde_json::from_value(reply)
        .map_err(|error| Fault::new(format!("cannot read the helper's reply: {error}")))
}
