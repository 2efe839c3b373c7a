//! Builds.

use super::names;
use cid_proto::v1 as pb;
use jiff::Timestamp;
use serde::Serialize;

/// A commit made ready to run, and what its tests came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Build {
    /// Its number in its project.
    pub id: u32,
    /// Its project.
    pub project: String,
    /// 40 hex digits.
    pub commit: String,
    /// The branch, tag or commit that somebody named.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The first line of the commit's message.
    pub subject: String,
    /// The address of its author.
    pub author: String,
    /// Where it stands.
    pub state: BuildState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How long it took, in milliseconds; `None` until it has ended.
    pub took_ms: Option<u64>,
    /// Stages that run it.
    pub stages: Vec<String>,
    /// The stages to which it may be promoted now; empty in a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub eligible: Vec<String>,
    /// Its job.
    pub job: String,
    /// SHA-256 over its files; `None` until they are sealed.
    pub digest: Option<String>,
    /// What its tests came to; `None` until they have ended.
    pub verdict: Option<String>,
    /// How many tests there are, by their reports.
    pub tests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many were left out.
    pub skipped: u64,
    /// The first that failed.
    pub failed_tests: Vec<String>,
}

/// Where a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildState {
    /// A state this client does not know.
    Unknown,
    /// Waits for its turn.
    Queued,
    /// Its files are being made.
    Building,
    /// Its tests run.
    Testing,
    /// Its tests passed.
    Passed,
    /// Its tests failed.
    Failed,
    /// It could not be made.
    Error,
    /// A newer push to its branch took its place before it began.
    Superseded,
}

names!(BuildState = pb::BuildState ["BUILD_STATE_"] {
    Unknown => "unknown",
    Queued => "queued",
    Building => "building",
    Testing => "testing",
    Passed => "passed",
    Failed => "failed",
    Error => "error",
    Superseded => "superseded",
});
