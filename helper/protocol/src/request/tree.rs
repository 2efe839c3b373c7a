//! Requests about files in a workspace's tree.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// See [`super::Request::Configure`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Configure {
    /// The clone.
    pub tree: PathBuf,
    /// Files to write.
    pub files: Vec<TreeFile>,
    /// Links (and copies) to make.
    pub links: Vec<TreeLink>,
    /// What templates may use.
    pub variables: BTreeMap<String, String>,
}

/// Reply to [`Configure`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// Places that were left to the repository because the file or link yields.
    pub kept: Vec<PathBuf>,
    /// Files of cid's that people had changed, and where these now are.
    #[serde(default)]
    pub edited: Vec<(PathBuf, PathBuf)>,
    /// What was written earlier and is not wanted any more.
    #[serde(default)]
    pub removed: Vec<PathBuf>,
    /// The same, where it stays: it was changed, is a folder, or stands for something that the repository tracks.
    #[serde(default)]
    pub left: Vec<PathBuf>,
}

/// A file written into the tree. All written paths go into `.git/info/exclude`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeFile {
    /// Relative to the tree.
    pub target: PathBuf,
    /// Where its content comes from.
    pub source: FileSource,
    /// Also when the repository tracks that path.
    pub replace: bool,
    /// What the repository tracks there stays, and this is left out.
    pub yields: bool,
}

/// Where a file's content comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// As it stands.
    Text(String),
    /// A Jinja template's text; an undefined variable is a fault.
    Template(String),
    /// A Jinja template in the tree, relative to it.
    TreeTemplate(PathBuf),
}

/// A link or a copy made in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeLink {
    /// Where it points; absolute.
    pub source: PathBuf,
    /// Relative to the tree.
    pub target: PathBuf,
    /// Copied instead, for what the workspace may change.
    pub copy: bool,
    /// Also when the repository tracks that path.
    pub replace: bool,
    /// What the repository tracks there stays, and this is left out.
    pub yields: bool,
}

/// See [`super::Request::Purge`]. Walks by descriptor, follows no link, crosses no mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Purge {
    /// The folder that is to go; none is no error.
    pub path: PathBuf,
}

/// Reply to [`Purge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// How many files and folders were removed.
    pub removed: u64,
}

/// See [`super::Request::KeepFile`]. The reply says whether it is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeepFile {
    /// What was written, in the same folder; `None`: the file is only looked for.
    pub part: Option<PathBuf>,
    /// What it is called once it is whole: a file or a folder.
    pub file: PathBuf,
}

/// See [`super::Request::KeepOnly`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeepOnly {
    /// The folder; none is no error.
    pub folder: PathBuf,
    /// Names in it that stay.
    pub names: Vec<String>,
    /// Names of which the first and the last that are there stay.
    pub ends: Vec<String>,
}

/// In a workspace's folder: what holds the static files that nginx serves.
pub const STATIC: &str = "static";
/// In there: the files. It is replaced whole.
pub const STATIC_FOLDER: &str = "files";

/// See [`super::Request::CollectStatic`]. Links, and names that begin with a dot, are left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CollectStatic {
    /// The clone.
    pub tree: PathBuf,
    /// The folder of collected files, relative to the tree.
    pub source: PathBuf,
    /// Where they go: a folder of the helper's user.
    pub place: PathBuf,
    /// Accounts that get in there; empty: none but its owner needs to.
    pub uids: Vec<u32>,
    /// They wait beside the present ones until this instance is shown; `None`: they are served at once.
    pub instance: Option<u32>,
}

/// See [`super::Request::ShowStatic`]. May be asked twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShowStatic {
    /// Where they were collected.
    pub place: PathBuf,
    /// Of which instance.
    pub instance: u32,
    /// The earlier ones are served again.
    pub back: bool,
}

/// The folder, beside [`STATIC_FOLDER`], of an instance that is not shown yet; afterwards of the one before.
pub fn waiting_static(instance: u32) -> String {
    format!("{STATIC_FOLDER}.{instance}")
}

/// Reply to [`CollectStatic`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// The tree has such a folder.
    pub is_there: bool,
    /// How many files were copied.
    pub files: u64,
    /// How many files, folders and links were left out.
    pub left_out: u64,
}
