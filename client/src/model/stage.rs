//! Stages.

use super::workspace::{FailedDeployment, Health, Process, WorkspaceState};
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
    /// The newest deployment, where that failed.
    pub failed_deployment: Option<FailedDeployment>,
    /// Why a build that would be promoted by itself is not; `None`: none waits.
    pub held: Option<String>,
}

/// What a promotion or a rollback would change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Preview {
    /// The build that would run.
    pub build: u32,
    /// The build that runs.
    pub running: Option<u32>,
    /// Commits that it has and the one that runs has not, newest first.
    pub added: Vec<ChangedCommit>,
    /// How many more there are.
    pub more_added: u32,
    /// The other way round.
    pub removed: Vec<ChangedCommit>,
    /// How many more there are.
    pub more_removed: u32,
    /// What happened to the database since, of a rollback.
    pub notes: Vec<String>,
    /// Release commands would run, if the build has any.
    pub releases: bool,
    /// The database would be copied first.
    pub backs_up: bool,
}

/// A commit that would come or go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedCommit {
    /// 40 hex digits.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// The address of its author.
    pub author: String,
}

/// A stage, and the processes of its build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownStage {
    /// The stage.
    #[serde(flatten)]
    pub stage: Stage,
    /// Its processes; none where nothing was deployed.
    pub processes: Vec<Process>,
}
