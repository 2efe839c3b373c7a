//! Requests about templates: what a project's commands make at a commit, kept and given to workspaces.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// In what is kept: what goes into a workspace's tree where nothing is there yet.
pub const NEW: &str = "new";
/// In what is kept: files of the commit that were changed.
pub const CHANGED: &str = "changed";
/// In what is kept: databases of the HOME.
pub const IN_HOME: &str = "home";

/// See [`super::Request::TakeMade`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TakeMade {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// Whose files the tree had, 40 hex digits.
    pub commit: String,
    /// The tree, in which nothing runs any more.
    pub tree: PathBuf,
    /// HOME of the commands.
    pub home: PathBuf,
    /// An empty folder, on the same file system.
    pub target: PathBuf,
    /// What was made up for the commands and no other workspace may get, such as the tree's path.
    pub own: Vec<String>,
    /// Nobody has said that what was made may be shared: databases there must be, and nothing that looks like a secret.
    pub careful: bool,
}

/// Reply to [`TakeMade`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenMade {
    /// How many files there are.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Why workspaces cannot share it; nothing is kept then.
    pub refusal: Option<String>,
}

/// See [`super::Request::PlaceMade`]. Copies are the workspace's own. What a failure leaves is as before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaceMade {
    /// What was kept.
    pub source: PathBuf,
    /// The workspace's tree.
    pub tree: PathBuf,
    /// Its HOME.
    pub home: PathBuf,
}
