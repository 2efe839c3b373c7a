//! Requests about the mirror and the remote.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// The project's repository and how to authenticate to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// https, ssh (`ssh://` or `user@host:path`), `file://` or an absolute path.
    pub url: String,
    /// Private key for SSH; `None`: the deploy user's own keys.
    pub identity_file: Option<PathBuf>,
    /// known_hosts for SSH; `None`: the deploy user's own. Unknown hosts are always refused.
    pub known_hosts: Option<PathBuf>,
    /// File with user and token for https, which the daemon reads and hands over; `None`: the server
    /// asks for nothing.
    #[serde(default)]
    pub credential_file: Option<PathBuf>,
}

/// A text that shows in no log. It is written to the pipe of the helper that is to use it, and nowhere
/// else.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// See [`super::Request::UseCredential`]. Never part of a plan, for plans are journalled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UseCredential {
    /// Who the server is to take it for.
    pub user: String,
    /// Token or password.
    pub token: Secret,
}

/// See [`super::Request::HangUp`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HangUp {}

/// See [`super::Request::Fetch`]. Makes the bare mirror if it is missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fetch {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// From where.
    pub remote: Remote,
    /// Base branch.
    pub base: String,
    /// The workspace's branch, which need not exist.
    pub branch: String,
    /// Brings the tags too, for callers that ask what the remote holds.
    pub tags: bool,
    /// The mirror has been brought up to date a moment ago: only read it.
    pub is_fresh: bool,
    /// How large the mirror may get.
    pub max_bytes: u64,
}

/// Reply to [`Fetch`]. The mirror's `refs/heads/*` are as on the remote now; a base branch that
/// does not exist is a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Commit of the base branch.
    pub base: String,
    /// Commit of the workspace's branch; `None` when the remote has none.
    pub branch: Option<String>,
    /// How many commits the workspace's branch has that are not in base.
    pub ahead: usize,
}

/// See [`super::Request::ListBranches`]. Brings nothing into the mirror, and makes it if it is missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListBranches {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// From where.
    pub remote: Remote,
    /// Base branch.
    pub base: String,
    /// The branches that are asked about.
    pub wanted: BTreeSet<String>,
}

/// Reply to [`ListBranches`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branches {
    /// The commit of each wanted branch that the remote has.
    pub commits: BTreeMap<String, String>,
}

/// See [`super::Request::CloneTree`]. Objects are shared with the mirror by alternates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloneTree {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// Where the clone goes: nowhere yet, into an empty folder, or over a half-made clone.
    pub target: PathBuf,
    /// What `origin` is set to.
    pub url: String,
    /// Base branch.
    pub base: String,
    /// Its commit.
    pub base_commit: String,
    /// The workspace's branch, made and checked out with `origin/BRANCH` as upstream.
    pub branch: String,
    /// The commit checked out.
    pub commit: String,
    /// Who commits here, for git of the workspace's own user.
    pub person: Person,
}

/// Whom git of the workspace's own user takes for the author, until it is told otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// HOME of the workspace's commands; git's settings there say who it is.
    pub home: PathBuf,
    /// Their address.
    pub email: String,
}

/// See [`super::Request::Push`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The bare mirror, which holds the commit.
    pub mirror: PathBuf,
    /// To where.
    pub remote: Remote,
    /// Branch to write.
    pub branch: String,
    /// Commit it shall have. A branch that has it already is no error.
    pub commit: String,
    /// Commit it must have before; `None`: it must not exist.
    pub expected: Option<String>,
    /// Only asks whether the key may write and the branch is where it is expected; changes nothing.
    pub dry_run: bool,
}

/// See [`super::Request::DeleteBranch`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteBranch {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// From where.
    pub remote: Remote,
    /// Which branch.
    pub branch: String,
    /// Delete only while it has this commit.
    pub expected: String,
}

/// Reply to [`DeleteBranch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchDeletion {
    /// It is gone.
    Deleted,
    /// There was none.
    Absent,
    /// It has another commit than expected and was left alone.
    Moved,
}
