//! The daemon itself.

use super::names;
use cid_proto::v1 as pb;
use serde::Serialize;

/// What the daemon says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its version, e.g. `0.1.0`.
    pub version: String,
    /// `sandbox` or `host`.
    pub mode: String,
    /// The web front's address, where there is one.
    pub front_url: Option<String>,
}

/// Something that `doctor` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What sort of thing it is.
    pub kind: FindingKind,
    /// What it is about, e.g. `vhost pressa.anna---example-com`.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// What would repair it; `None` for a note.
    pub repair: Option<String>,
    /// Whether it has just been repaired.
    pub repaired: bool,
}

impl Finding {
    /// Whether something is left to do about it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.kind != FindingKind::Note && !self.repaired
    }
}

/// Something that is kept and nobody uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// `packages`, `build`, `template` or `node`.
    pub sort: String,
    /// Whose; `None`: for all projects.
    pub project: Option<String>,
    /// Its folder on the server.
    pub path: String,
    /// Its size on disk.
    pub bytes: u64,
    /// Why it stays, when it was to be removed.
    pub kept: Option<String>,
}

/// What sort of thing `doctor` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// A kind this client does not know.
    Unknown,
    /// The machine and the ledger differ.
    Drift,
    /// Owed, and being retried.
    Owed,
    /// Worth knowing, nothing to mend.
    Note,
    /// Something that cid needs from the host is missing or does not work.
    Broken,
}

names!(FindingKind = pb::FindingKind ["FINDING_KIND_"] {
    Unknown => "unknown",
    Drift => "drift",
    Owed => "owed",
    Note => "note",
    Broken => "broken",
});
