//! Requests about builds: a commit's files, ready to run.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// See [`super::Request::FindCommit`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindCommit {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// A branch, a tag, or the beginning of a commit's name.
    pub revision: String,
}

/// See [`super::Request::IsAncestor`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IsAncestor {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// 40 hex digits.
    pub commit: String,
    /// The commit that may come after it, 40 hex digits.
    pub of: String,
}

/// A commit of the mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundCommit {
    /// Its name, 40 hex digits.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// The address of its author.
    pub author: String,
}

/// See [`super::Request::CompareCommits`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompareCommits {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// The commit that comes; 40 hex digits.
    pub new: String,
    /// The commit that it comes after.
    pub old: String,
}

/// Reply to [`CompareCommits`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// What the new one has and the old one has not, newest first, as many as are listed.
    pub added: Vec<FoundCommit>,
    /// How many more there are.
    pub more_added: usize,
    /// The other way round.
    pub removed: Vec<FoundCommit>,
    /// How many more there are.
    pub more_removed: usize,
}

/// See [`super::Request::ExportCommit`]. What the folder holds is removed first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportCommit {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// Which commit.
    pub commit: String,
    /// Where its files go.
    pub target: PathBuf,
}

/// Reply to [`ExportCommit`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// How many files there are.
    pub files: u64,
    /// Submodules, whose files are not exported.
    pub submodules: Vec<PathBuf>,
}

/// See [`super::Request::SealBuild`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealBuild {
    /// Its files and its own packages.
    pub roots: Vec<PathBuf>,
    /// Packages that it shares with others: they are in the digest, and are left alone.
    pub packages: Vec<PathBuf>,
    /// Only read them: they are sealed already.
    pub reads_only: bool,
}

/// See [`super::Request::TakeOver`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TakeOver {
    /// Folders, and files in folders that nobody else can take them from.
    pub roots: Vec<PathBuf>,
}

/// Reply to [`SealBuild`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBuild {
    /// SHA-256 over each path, mode and content, in hex.
    pub digest: String,
    /// How many files there are.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// See [`super::Request::CopyBuild`]. Copies may be written by their owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyBuild {
    /// The sealed files.
    pub source: PathBuf,
    /// An empty folder.
    pub target: PathBuf,
}

/// See [`super::Request::ReadReports`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadReports {
    /// The folder in which the tests left JUnit XML.
    pub folder: PathBuf,
}

/// Reply to [`ReadReports`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// How many tests ran; 0: there is no report.
    pub tests: u64,
    /// How many of them failed or had an error.
    pub failed: u64,
    /// How many were left out.
    pub skipped: u64,
    /// Names of those that failed, the first ones.
    pub names: Vec<String>,
    /// What could not be read.
    pub notes: Vec<String>,
}
