//! The operator's recipes.

use super::names;
use cid_proto::v1 as pb;
use jiff::Timestamp;
use serde::Serialize;

/// A project as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Project {
    /// What it is called, from the file's name.
    pub name: String,
    /// Its workspaces answer below this domain.
    pub domain: String,
    /// The repository they are clones of.
    pub git_url: String,
    /// The branch new branches start from.
    pub base_branch: String,
    /// The directory its workspaces live in.
    pub work_dir: String,
    /// Who speaks to the git server.
    pub deploy_user: String,
    /// The file it was read from.
    pub file: String,
    /// Why it cannot be used; `None` when it can.
    pub error: Option<String>,
    /// How many workspaces it has.
    pub workspaces: u32,
    /// The commands of its tests, for people.
    pub test: Vec<String>,
    /// Since when its remote does not answer.
    pub remote_silent_since: Option<Timestamp>,
    /// Why not.
    pub remote_error: Option<String>,
}

/// What became of a project that was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemovedProject {
    /// Where its file is now; `None`: there was none.
    pub file: Option<String>,
    /// What was taken away, for people.
    pub removed: Vec<String>,
    /// What stays, and why.
    pub kept: Vec<String>,
}

/// What followed from where a branch of a remote is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FollowUp {
    /// The branch.
    pub branch: String,
    /// Its commit, 40 hex digits; `None`: the remote has no such branch any more.
    pub commit: Option<String>,
    /// What was done, in a sentence.
    pub message: String,
    /// The job that began.
    pub job: Option<String>,
}

/// A webhook that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookDelivery {
    /// When it came.
    pub at: Timestamp,
    /// How it is signed; `None`: not so that cid believes it.
    pub scheme: Option<String>,
    /// What its sender calls its kind.
    pub event: Option<String>,
    /// What its sender calls it.
    pub id: Option<String>,
    /// Whether it was believed.
    pub accepted: bool,
    /// What came of it; `None`: that is not known yet.
    pub outcome: Option<String>,
}

/// One thing that `check` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckItem {
    /// How it was found.
    pub severity: Severity,
    /// What was looked at, e.g. `remote`.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// How bad a finding of `check` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A severity this client does not know.
    Unknown,
    /// Good.
    Ok,
    /// Works, but is likely not what was meant.
    Warning,
    /// Does not work.
    Error,
}

names!(Severity = pb::Severity ["SEVERITY_"] {
    Unknown => "unknown",
    Ok => "ok",
    Warning => "warning",
    Error => "error",
});
