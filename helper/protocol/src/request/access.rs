//! Requests about who may use which files.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// Which parts of a recipe the project file gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The processes.
    pub run: bool,
    /// The release commands.
    pub release: bool,
    /// How to install.
    pub install: bool,
    /// A ready environment.
    pub env: bool,
}

/// See [`super::Request::GrantAccess`]. Follows no links, crosses no mounts; leaves files with more than one
/// hard link alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GrantAccess {
    /// Folders to give access to, all below the workspace's or the project's mirror.
    pub roots: Vec<PathBuf>,
    /// Accounts with access.
    pub uids: Vec<u32>,
    /// Groups with access.
    pub gids: Vec<u32>,
    /// Leaves alone what belongs to none of these accounts; empty: any owner will do. A helper with more
    /// rights than the tree's owner must set this: files of others can be moved into a tree.
    pub owners: Vec<u32>,
    /// Access to read; otherwise to read and write.
    pub reads_only: bool,
}

/// See [`super::Request::OpenSockets`]. Only these accounts and the folder's owner get there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenSockets {
    /// The folder, which belongs to the helper's user.
    pub folder: PathBuf,
    /// Accounts that may connect, and list nothing.
    pub uids: Vec<u32>,
}

/// Reply to [`GrantAccess`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// How many files and folders got the list.
    pub changed: u64,
    /// What was left alone, at most 100 below each root.
    pub skipped: Vec<Skipped>,
}

/// Something that a walk left alone, with what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why something was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It is also somewhere else.
    HardLinks,
    /// It belongs to this user, who has nothing to do with the workspace.
    Stranger(u32),
    /// Something is mounted there.
    Mount,
    /// It is too deep below the root.
    Depth,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was left alone: ", self.path.display())?;
        match self.reason {
            SkipReason::HardLinks => f.write_str("it has more than one hard link"),
            SkipReason::Stranger(uid) => write!(f, "it belongs to the user with the number {uid}"),
            SkipReason::Mount => f.write_str("something is mounted there"),
            SkipReason::Depth => f.write_str("it is too deep in the tree"),
        }
    }
}

/// See [`super::Request::LookAtAccess`]. Changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookAtAccess {
    /// The tree.
    pub root: PathBuf,
    /// The workspace's user.
    pub uid: u32,
    /// All of that user's groups.
    pub gids: Vec<u32>,
    /// The developer, who must be able to use the tree's folder.
    pub people: Option<u32>,
    /// Groups that share the tree. The folder's lists should name no accounts and groups but these, the
    /// developer and the workspace's user.
    pub sharing: Vec<u32>,
}

/// Reply to [`LookAtAccess`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessReport {
    /// How many things of others the user cannot read, or, if they are folders, put things into.
    pub closed: u64,
    /// The first few of them.
    pub examples: Vec<PathBuf>,
    /// The developer cannot use the tree's folder.
    pub lacks_people: bool,
    /// Accounts that the folder's lists name and should not.
    pub other_uids: BTreeSet<u32>,
    /// Groups, likewise.
    pub other_gids: BTreeSet<u32>,
}

/// See [`super::Request::LookAtPaths`]. Changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookAtPaths {
    /// What is asked.
    pub asks: Vec<PathAsk>,
}

/// Whether an account can use a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathAsk {
    /// The file or folder; links are followed.
    pub path: PathBuf,
    /// The account.
    pub uid: u32,
    /// All of its groups.
    pub gids: Vec<u32>,
    /// What it must be able to do there: 4 to read, 2 to write, 1 to enter or execute, added up.
    pub rights: u16,
}

/// Reply to [`LookAtPaths`]: for each question, in their order, what is in the way, if anything is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathReport {
    /// The answers.
    pub obstacles: Vec<Option<Obstacle>>,
}

/// What is in an account's way to a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Obstacle {
    /// There is nothing at the path.
    Missing,
    /// This folder on the way may not be entered.
    Way(PathBuf),
    /// The thing itself does not allow it.
    Itself,
}
