//! Who did what.

use super::names;
use cid_proto::v1 as pb;
use jiff::Timestamp;
use serde::Serialize;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// When it came.
    pub at: Timestamp,
    /// The caller's user id.
    pub uid: u32,
    /// The account of that user id, where it had one.
    pub account: Option<String>,
    /// The caller's process, where it was known.
    pub pid: Option<u32>,
    /// The socket it came by: `people` or `front`.
    pub door: String,
    /// What was asked for, e.g. `/cid.v1.Workspaces/Create`.
    pub rpc: String,
    /// polkit's name of the right it takes, e.g. `org.cid.create-own`.
    pub action: Option<String>,
    /// Whose workspace it was about.
    pub email: Option<String>,
    /// The workspace's project.
    pub project: Option<String>,
    /// The workspace's name.
    pub workspace: Option<String>,
    /// The job it began or was about.
    pub job: Option<String>,
    /// What was decided.
    pub decision: Decision,
    /// Why it was denied.
    pub reason: Option<String>,
    /// How it was answered: gRPC's name of the code, e.g. `OK`.
    pub outcome: String,
    /// The program that was to be run in the workspace, without its arguments.
    pub program: Option<String>,
    /// The number of the build it was about.
    pub build: Option<u32>,
}

/// What was decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A decision this client does not know.
    Unknown,
    /// It might be.
    Allowed,
    /// It might not.
    Denied,
    /// It could not be right, so nobody was asked.
    NotAsked,
}

names!(Decision = pb::Decision ["DECISION_"] {
    Unknown => "unknown",
    Allowed => "allowed",
    Denied => "denied",
    NotAsked => "not asked",
});
