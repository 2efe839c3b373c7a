//! A workspace and the states that it and its jobs can be in.

use super::{Creator, Email, Name, ProjectName, UnitName};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

/// One person's copy of one project, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Number in the ledger, never reused.
    pub id: i64,
    /// Whose it is.
    pub email: Email,
    /// What it is a copy of.
    pub project: ProjectName,
    /// Directory, branch and sub-domain are called so.
    pub name: Name,
    /// Where it stands.
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
    /// The newest job.
    pub job: uuid::Uuid,
    /// Who asked for it.
    pub creator: Creator,
}

impl Workspace {
    /// `PROJECT.NAME`.
    pub fn unit(&self) -> UnitName {
        UnitName::new(&self.project, &self.name)
    }

    /// The host name in its address; `None` where it has none. The project's domain may be another by now.
    pub fn host(&self) -> Option<&str> {
        let (_, rest) = self.url.split_once("://")?;
        rest.split([':', '/']).next()
    }

    /// Whether it answers over HTTPS.
    pub fn is_https(&self) -> bool {
        self.url.starts_with("https://")
    }
}

/// Where a workspace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceState {
    /// Its create job runs.
    Creating,
    /// It can be used.
    Ready,
    /// Its newest job is stuck.
    Failed,
    /// Its delete job runs.
    Deleting,
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Makes a workspace.
    Create,
    /// Removes one.
    Delete,
    /// Restarts one's processes.
    Restart,
    /// Gives access to one's files once more.
    #[serde(rename = "repair-access")]
    RepairAccess,
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Restart => "restart",
            Self::RepairAccess => "repair-access",
        })
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Journalled, not begun.
    Queued,
    /// Its steps are being applied.
    Running,
    /// Its steps are being taken back.
    Undoing,
    /// Every step is applied and finished.
    Done,
    /// It failed and everything is taken back.
    Undone,
    /// Neither could be completed; `retry` goes on.
    Stuck,
    /// Somebody cancelled it and everything is taken back.
    Cancelled,
}

impl JobState {
    /// Whether the job changes nothing any more.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Cancelled)
    }
}
