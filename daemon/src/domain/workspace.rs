//! A workspace, and the states of workspaces and jobs.

use super::{Creator, Name, Owner, ProjectName, UnitName};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One person's copy of one project, or a stage of it, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Number in the ledger, never reused.
    pub id: i64,
    /// Whose it is.
    pub owner: Owner,
    /// Its project.
    pub project: ProjectName,
    /// The name of its directory, branch and sub-domain.
    pub name: Name,
    /// Its state.
    pub state: WorkspaceState,
    /// The reserved port; `None` until one is reserved.
    pub port: Option<u16>,
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// The remote branch, from the project's pattern.
    pub branch: String,
    /// `http://NAME.DOMAIN[:PORT]/`, or with `https` where the project had a certificate.
    pub url: String,
    /// The commit the clone was made at.
    pub commit: Option<String>,
    /// When it was asked for.
    pub created_at: jiff::Timestamp,
    /// The number of the instance that answers.
    pub deployment: u32,
    /// The newest job.
    pub job: uuid::Uuid,
    /// Who asked for it.
    pub creator: Creator,
    /// Since when its branch is known to be gone from the remote.
    pub branch_gone_at: Option<jiff::Timestamp>,
}

impl Workspace {
    /// `PROJECT.NAME`.
    pub fn unit(&self) -> UnitName {
        UnitName::new(&self.project, &self.name)
    }

    /// What supervisord runs for it: `PROJECT.NAME`, or `PROJECT.NAME.N` after a deployment.
    pub fn instance(&self) -> UnitName {
        self.unit().instance(self.deployment)
    }

    /// The host name in its address; `None` if it has none. The project's domain may have changed since.
    pub fn host(&self) -> Option<&str> {
        let (_, rest) = self.url.split_once("://")?;
        rest.split([':', '/']).next()
    }

    /// Whether it is a stage of its project.
    pub fn is_stage(&self) -> bool {
        self.owner.stage().is_some()
    }

    /// Whether it answers over HTTPS.
    pub fn is_https(&self) -> bool {
        self.url.starts_with("https://")
    }
}

/// The state of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceState {
    /// Its create job runs.
    Creating,
    /// It can be used.
    Ready,
    /// It is whole, and its processes do not run until somebody starts them.
    Stopped,
    /// Its processes do not run until the next visitor comes.
    Asleep,
    /// Its newest job is stuck.
    Failed,
    /// Its delete job runs.
    Deleting,
}

impl WorkspaceState {
    /// Whether its processes are not to run.
    pub fn is_away(self) -> bool {
        matches!(self, Self::Stopped | Self::Asleep)
    }

    /// Whether it is whole, and its processes run or can be started.
    pub fn is_whole(self) -> bool {
        self == Self::Ready || self.is_away()
    }
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Journalled, not started.
    Queued,
    /// Its steps are being applied.
    Running,
    /// Its steps are being taken back.
    Undoing,
    /// Every step is applied and finished.
    Done,
    /// It failed and everything is undone.
    Undone,
    /// It could neither be completed nor undone; `retry` continues it.
    Stuck,
    /// Somebody cancelled it and everything is undone.
    Cancelled,
}

impl JobState {
    /// Whether the job will change nothing any more.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Cancelled)
    }

    /// Whether nothing happens to the job unless somebody asks.
    pub fn is_at_rest(self) -> bool {
        self.is_ended() || self == Self::Stuck
    }
}
