//! What is asked about work that a delete would lose, and the answer.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The clone, inside a workspace's folder.
pub const TREE: &str = "src";
/// An environment of the workspace's own.
pub const VENV: &str = "venv";
/// The same, of every other instance: one that serves keeps its own while the next one's is made.
pub const OTHER_VENV: &str = "venv2";
/// HOME of the workspace's commands and processes.
pub const HOME: &str = "home";

/// See [`Request::WorkStatus`](super::Request::WorkStatus). Changes nothing in the workspace. A missing
/// folder holds nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkStatus {
    /// The workspace's folder, which holds `src` and `home`.
    pub directory: PathBuf,
    /// The project's mirror. Its branches are the remote's, unless `unasked` says otherwise.
    pub mirror: PathBuf,
    /// The project's remote; `None`: the project's file cannot be read.
    pub url: Option<String>,
    /// Why the project's remote could not be asked just now: then the mirror holds nothing.
    pub unasked: Option<String>,
    /// [`WorkReport::fingerprint`] of an earlier report that found every commit on a remote. Where it is
    /// still the same, remotes are not asked again.
    pub judged: Option<String>,
}

/// See [`Request::UnfinishedWork`](super::Request::UnfinishedWork). Asks no remote and changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnfinishedWork {
    /// The workspace's folder, which holds `src` and `home`; a missing one holds nothing.
    pub directory: PathBuf,
    /// The project's mirror.
    pub mirror: PathBuf,
    /// The workspace's commands and processes run as the helper's own user, and people do not.
    pub own_account: bool,
}

/// See [`Request::UpdateTree`](super::Request::UpdateTree). Loses nothing: a tree with work in it is left as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateTree {
    /// The workspace's folder, which holds the clone.
    pub directory: PathBuf,
    /// The workspace's branch.
    pub branch: String,
    /// Its commit on the remote, which the mirror has; `None`: there is no such branch.
    pub commit: Option<String>,
}

/// Reply to [`UpdateTree`]: what the clone holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeState {
    /// The commit that is checked out.
    pub commit: String,
    /// The files as they are, as a tree of git's in the clone; what is large is left out.
    pub snapshot: String,
    /// Changes with every commit and every change that a person makes.
    pub fingerprint: String,
    /// How many files have changes that a person made.
    pub uncommitted: usize,
    /// Why the tree was not brought up to date, where the remote has another commit.
    pub left_alone: Option<String>,
}

/// See [`Request::TakeBackTree`](super::Request::TakeBackTree). The reply says why the tree stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TakeBackTree {
    /// The workspace's folder, which holds the clone.
    pub directory: PathBuf,
    /// The workspace's branch.
    pub branch: String,
    /// The commit to which the tree was brought.
    pub from: String,
    /// The one that it had before.
    pub to: String,
}

/// See [`Request::LookAtTree`](super::Request::LookAtTree). Changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookAtTree {
    /// The workspace's clone.
    pub tree: PathBuf,
    /// The commit that its processes were set up for.
    pub commit: Option<String>,
    /// Its branch on the remote.
    pub branch: String,
    /// The app's folder in the tree.
    pub dir: PathBuf,
}

/// Reply to [`LookAtTree`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeLook {
    /// The commit that is checked out; `None`: there is none.
    pub head: Option<String>,
    /// The branch that is checked out; `None`: a commit alone.
    pub branch: Option<String>,
    /// How many commits the branch on the remote lacks, and how many it has more, as far as the clone knows
    /// it; `None`: it does not.
    pub ahead_behind: Option<(usize, usize)>,
    /// Of the files that say what runs and what is installed, those that are not as at the commit; below the
    /// app's folder, at most 100.
    pub changed: Vec<String>,
    /// The first line of the commit's message; empty: there is none.
    pub subject: String,
    /// How many files differ from the commit, new ones that git does not ignore among them; `None`: it
    /// cannot be told.
    pub uncommitted: Option<usize>,
}

/// Reply to [`WorkStatus`] and [`UnfinishedWork`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkReport {
    /// Repositories with work that is nowhere else, at most 50.
    pub repositories: Vec<RepositoryWork>,
    /// Places that could not be looked at, and why: they may hold anything.
    pub unseen: Listing,
    /// What goes along without being work.
    pub files: LeftFiles,
    /// A hash over all commits, branches and stashes that were judged, and the project's remote.
    pub fingerprint: String,
}

impl WorkReport {
    /// Whether a delete would lose work.
    pub fn loses_work(&self) -> bool {
        !self.repositories.is_empty() || !self.unseen.is_empty()
    }
}

/// What one repository has that is nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryWork {
    /// Its folder, relative to the workspace's, e.g. `src/lib`.
    pub path: String,
    /// Changed and untracked paths, relative to `path`; notes that are not paths stand in brackets.
    pub uncommitted: Listing,
    /// `<short id> <subject>` of stashes and of commits that no remote holds now.
    pub unpushed: Listing,
    /// How many of these are stashes, which come first.
    pub stashes: u64,
    /// What could not be told, and remotes that could not be asked, with the reason. Commits that only they may hold
    /// count as not held.
    pub remarks: Vec<String>,
}

impl RepositoryWork {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.uncommitted.is_empty() && self.unpushed.is_empty() && self.remarks.is_empty()
    }
}

/// The beginning of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// At most [`Listing::LIMIT`] entries.
    pub items: Vec<String>,
    /// How many more there are.
    pub more: u64,
}

impl Listing {
    /// How many entries are named.
    pub const LIMIT: usize = 100;
    /// How long an entry may be, in characters.
    const WIDTH: usize = 300;

    /// Adds an entry, or counts it.
    pub fn push(&mut self, item: &str) {
        if self.items.len() < Self::LIMIT {
            self.items.push(Self::shortened(item));
        } else {
            self.more += 1;
        }
    }

    /// Leaves the middle of a long entry out: the end of a path, and what is said of it, tell most.
    fn shortened(item: &str) -> String {
        let length = item.chars().count();
        if length <= Self::WIDTH {
            return item.to_owned();
        }
        let kept = (Self::WIDTH - 1) / 2;
        let end = item.chars().skip(length - kept);
        item.chars().take(kept).chain(['…']).chain(end).collect()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.more == 0
    }

    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.more + self.items.len() as u64
    }
}

impl<T: AsRef<str>> FromIterator<T> for Listing {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Self::default();
        for item in items {
            list.push(item.as_ref());
        }
        list
    }
}

/// Files that git ignores, or that lie beside all repositories, and commits that a reflog alone holds. They go with
/// the workspace, and do not keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftFiles {
    /// The biggest ones, at most 10.
    pub biggest: Vec<LeftFile>,
    /// How many entries there are beside those.
    pub more: u64,
    /// Files in all.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// There are more: counting was given up.
    pub is_partial: bool,
    /// `REPOSITORY: <short id> <subject>`, the newest first, at most 10.
    pub forgotten: Vec<String>,
    /// How many more there are.
    pub more_forgotten: u64,
}

/// A file, or a folder with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftFile {
    /// Relative to the workspace's folder; a folder's ends with a slash.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// See [`Request::RecordMade`](super::Request::RecordMade). What was written down before stays as it is; people
/// may have worked since then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordMade {
    /// The workspace's folder.
    pub directory: PathBuf,
    /// The workspace's commands and processes run as the helper's own user, and people do not.
    pub own_account: bool,
}
