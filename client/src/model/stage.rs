//! Stages.

use super::workspace::{Health, WorkspaceState};
use jiff::Timestamp;
use serde::Serialize;

/// An environment that belongs to a project, and the build that runs there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Its state; `None`: nothing was deployed yet.
    pub state: Option<WorkspaceState>,
    /// Whether it works.
    pub health: Health,
    /// What is wrong, in one line; `None`: nothing, or nobody can tell.
    pub health_message: Option<String>,
    /// Where it answers, or will.
    pub url: String,
    /// The build that runs.
    pub build: Option<u32>,
    /// Its commit.
    pub commit: Option<String>,
    /// The build that ran before.
    pub previous: Option<u32>,
    /// The newest build that could be promoted.
    pub promotable: Option<u32>,
    /// Since when the build runs.
    pub deployed_at: Option<Timestamp>,
    /// On whose behalf it was deployed.
    pub by: Option<String>,
    /// The newest job.
    pub job: Option<String>,
}
