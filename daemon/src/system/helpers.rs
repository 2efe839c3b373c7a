//! Starts helpers: processes that work for one job under one identity.

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

/// Who does a piece of work. In a sandbox, everyone is the user who runs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The project's deploy user: the network half of git.
    Git(ProjectName),
    /// The workspace's user: everything inside its tree.
    Workspace(WorkspaceUser),
    /// The workspace's own user again, to end all processes of that user: behind Landlock's walls it could
    /// not see them.
    Reaper(UnitName, i64),
    /// The project's build user, for the shared packages with this key. Complete ones of other
    /// keys are used.
    Build(ProjectName, String),
    /// The project's build user in the folder of one build.
    Builder(ProjectName, PathBuf),
    /// The project's test user: reads that folder and writes in `test` alone. `false`: without a network.
    Tester(ProjectName, PathBuf, bool),
    /// Root with two capabilities, which may write this folder only: makes files in it root's.
    Sealer(PathBuf),
    /// Installs what builds run and must not change, e.g. uv. Runs no code of any repository. Also looks up
    /// names for nginx's test.
    Tools,
    /// Root with two capabilities, which may write this folder only: removes what a workspace's user cannot.
    Purge(PathBuf),
    /// The same, without write access: looks at trees that the daemon cannot look into.
    Look,
    /// The same, confined to one workspace: sets access lists on what the developer made there.
    Access(UnitName, PathBuf),
    /// Changes the machine's accounts. One stands ready.
    Accounts,
    /// Tests nginx's configuration without a network. One stands ready.
    NginxTest,
}

/// A workspace's user and folder, as the ledger records them: the project's file may be gone or changed by
/// now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkspaceUser {
    /// Its name.
    pub unit: UnitName,
    /// Its number in the ledger and of its account.
    pub number: i64,
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
}

impl WorkspaceUser {
    /// A workspace's user.
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
    /// The job that the call belongs to; one helper per job and identity serves calls in turn.
    pub job: Uuid,
    /// The identity it runs under.
    pub identity: Identity,
    /// After this time the helper and all that it started are killed.
    pub limit: Duration,
    /// Where output lines go (without line feed, at most 16 KiB each). A full queue makes the
    /// helper wait.
    pub lines: mpsc::Sender<String>,
    /// When fired, kills the helper and all that it started.
    pub cancel: CancellationToken,
    /// Who it is for, in queues.
    pub who: Arc<Who>,
}

impl Identity {
    /// Whether a helper of this identity may stand ready for the next job: only where its user is known in
    /// advance.
    pub fn may_wait(&self) -> bool {
        matches!(self, Self::Git(_))
    }
}

/// Starts helpers and carries requests to them.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// Makes a helper do one request. Use [`ask`], which knows the reply's type.
    ///
    /// # Errors
    /// The helper's own [`Fault`]; or the helper cannot be started, was cancelled, took too long or died.
    async fn call(&self, call: &Call, request: Request) -> Result<serde_json::Value, Fault>;

    /// Starts a job's helper for an identity ahead of its first call. A failure to start is reported by that
    /// call.
    async fn prepare(&self, _job: Uuid, _identity: Identity) {}

    /// Ends the connections that a job's helper of this identity keeps open for later requests. Starts no
    /// helper for it.
    async fn hang_up(&self, _job: Uuid, _identity: &Identity) {}

    /// Ends helpers that stand ready for projects not among these, and replaces those that would be started
    /// differently now. To be called after projects were read again.
    async fn look_over(&self, _projects: &BTreeSet<ProjectName>) {}

    /// Jobs whose helpers nobody holds any more, such as an earlier daemon's.
    fn strays(&self) -> BTreeSet<Uuid> {
        BTreeSet::new()
    }

    /// Ends all units that build a project's packages, for any job. A sandbox has none.
    ///
    /// # Errors
    /// systemd cannot end one.
    async fn end_builds(&self, _project: &ProjectName) -> Result<(), Fault> {
        Ok(())
    }

    /// Ends unused helpers, including those that stand ready, and starts no replacements. For a daemon that
    /// is about to end.
    async fn stop(&self) {}

    /// Ends the helpers of a job and everything they started; returns when all are dead. Also ends
    /// those that an earlier daemon started for it.
    ///
    /// # Errors
    /// Something of the job still lives after several seconds.
    async fn end(&self, job: Uuid) -> Result<(), Fault>;
}

/// Makes a helper do one request that belongs to no job, and ends that helper. Its output is discarded.
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
        Identity::Git(project) => Some(project.clone()),
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
        who: Arc::new(Who::cid(project, "question")),
    };
    let reply = ask(launcher, &call, request).await;
    if let Err(fault) = launcher.end(job).await {
        tracing::warn!("{fault}");
    }
    drain.abort();
    reply
}

/// Makes a helper do one request and reads its reply.
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
