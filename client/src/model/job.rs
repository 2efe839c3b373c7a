//! A plan being carried out, and its journal.

use super::{named, names, seconds};
use cid_proto::v1 as pb;
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// A plan being carried out, or carried back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// What it is asked for by.
    pub id: String,
    /// What it does to its workspace; in JSON its name.
    #[serde(serialize_with = "named")]
    pub kind: JobKind,
    /// Where it has got to.
    pub state: JobState,
    /// Whose workspace it is about.
    pub email: String,
    /// The workspace's project.
    pub project: String,
    /// The workspace's name.
    pub name: String,
    /// The plan, in order.
    pub steps: Vec<Step>,
    /// Why it did not end `Done`.
    pub failure: Option<Failure>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub ended_at: Option<Timestamp>,
    /// What it could not do and cid still owes, one sentence each.
    pub owed: Vec<String>,
    /// What it waits for now.
    pub waiting: Option<Waiting>,
    /// What its steps noted for people; none in a list.
    pub notes: Vec<String>,
}

/// What a job waits for that only so many may use at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// What for.
    pub resource: WaitingFor,
    /// Whose it is, where there is more than one: a project or a git server.
    pub of: Option<String>,
    /// How many come before it, those at work among them.
    pub ahead: u32,
    /// What the job that has been at work longest is doing, e.g. `install`.
    pub work: Option<String>,
    /// The address of the person that the work is for.
    pub email: Option<String>,
    /// For how many whole minutes.
    pub minutes: u64,
    /// All of that as a sentence, beginning with `waiting for`.
    pub text: String,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingFor {
    /// Something this client does not know.
    Unknown,
    /// A core, for installing or release commands.
    Turn,
    /// The project's mirror.
    Mirror,
    /// A shared environment that is being built.
    Build,
    /// The project's shared database.
    Database,
    /// uv, which is being brought in.
    Uv,
    /// A connection to a git server.
    GitServer,
}

names!(WaitingFor = pb::WaitingFor ["WAITING_FOR_"] {
    Unknown => "unknown",
    Turn => "turn",
    Mirror => "mirror",
    Build => "build",
    Database => "database",
    Uv => "uv",
    GitServer => "git-server",
});

/// What a job does; `Unspecified`: something this client does not know.
pub use pb::JobKind;

/// Where a job has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// A state this client does not know.
    Unknown,
    /// Waits for its turn.
    Queued,
    /// Its steps are being applied.
    Running,
    /// Its steps are being taken back.
    Undoing,
    /// Everything is applied.
    Done,
    /// Everything is taken back.
    Undone,
    /// Can go neither forward nor back without a person; `retry` goes on with it.
    Stuck,
    /// Taken back because somebody cancelled it.
    Cancelled,
}

names!(JobState = pb::JobState ["JOB_STATE_"] {
    Unknown => "unknown",
    Queued => "queued",
    Running => "running",
    Undoing => "undoing",
    Done => "done",
    Undone => "undone",
    Stuck => "stuck",
    Cancelled => "cancelled",
});

impl JobState {
    /// Whether the job is at rest: nothing happens to it unless somebody asks.
    #[must_use]
    pub fn is_at_rest(self) -> bool {
        self.is_ended() || self == Self::Stuck
    }

    /// Whether the job can never move again: ended, and not merely stuck.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Cancelled)
    }
}

/// One reversible change within a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its 0-based place in the plan.
    pub index: u32,
    /// Its name and version, e.g. `clone.v1`.
    pub kind: String,
    /// What it does, for people.
    pub label: String,
    /// Where it has got to.
    pub state: StepState,
    /// How long it ran; `None` until it ended. In JSON `took_seconds`.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Option<Duration>,
    /// Applied, and there was nothing to do.
    pub idle: bool,
    /// Undone, but what it did outside of cid's reach stays, e.g. in a database.
    pub stays: bool,
}

/// Where a step has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// A state this client does not know.
    Unknown,
    /// Waits for the steps before it.
    Planned,
    /// What was there before is journalled; it runs.
    Observed,
    /// Done.
    Applied,
    /// Being taken back.
    Undoing,
    /// Taken back.
    Undone,
    /// Could not be taken back.
    Stuck,
}

names!(StepState = pb::StepState ["STEP_STATE_"] {
    Unknown => "unknown",
    Planned => "planned",
    Observed => "observed",
    Applied => "applied",
    Undoing => "undoing",
    Undone => "undone",
    Stuck => "stuck",
});

/// Why a job did not end `Done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The kind of the step that failed; `None` when no step is to blame.
    pub step_kind: Option<String>,
    /// What that step does, for people.
    pub step_label: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The step's last lines of output.
    pub output: Vec<String>,
    /// Why they are not shown to the caller, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_withheld: Option<String>,
}

/// One line of a job's journal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The job's id.
    pub job: String,
    /// 1, 2, 3, ... within the job.
    pub seq: u64,
    /// When it was journalled.
    pub at: Timestamp,
    /// What happened; in JSON its fields stand beside the others.
    #[serde(flatten)]
    pub what: What,
}

/// What happened in a job. In JSON the field `what` says which of them it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum What {
    /// The job went on to a state.
    Job {
        /// The new state.
        state: JobState,
        /// Which step is to blame, where the job is being taken back because of one.
        #[serde(skip_serializing_if = "Option::is_none")]
        failed_step: Option<u32>,
    },
    /// A step went on to a state.
    Step {
        /// Which step.
        index: u32,
        /// Its new state.
        state: StepState,
        /// What it does, for people.
        label: String,
        /// How long it ran, where it has just ended.
        #[serde(rename = "took_seconds", serialize_with = "seconds")]
        took: Option<Duration>,
        /// Applied, and there was nothing to do.
        idle: bool,
    },
    /// A step's commands wrote something.
    Output {
        /// Which step.
        index: u32,
        /// The lines, without line feeds; they may hold escape sequences.
        lines: Vec<String>,
    },
    /// A sentence for people.
    Note {
        /// Which step it came from.
        index: u32,
        /// The sentence.
        text: String,
    },
    /// The job waits, or waits for something else, or no more. No journal line: its number is that of the
    /// last one.
    Waiting {
        /// What for; `None`: it goes on.
        waiting: Option<Waiting>,
    },
    /// Something this client does not know.
    Unknown,
}
