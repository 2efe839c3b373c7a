//! A build: one commit made ready to run, and the verdict of its tests.

use super::ProjectName;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::PathBuf};
use uuid::Uuid;

/// A build, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Its number in the ledger, never reused.
    pub id: i64,
    /// Its project.
    pub project: ProjectName,
    /// Its number in the project, from 1, never reused.
    pub number: u32,
    /// What was built.
    pub source: Source,
    /// Names the commands that it was built and tested by.
    pub recipe: String,
    /// Where it stands.
    pub state: BuildState,
    /// What its tests came to; `None` until they have ended.
    pub verdict: Option<Verdict>,
    /// SHA-256 over its files, in hex; `None` until they are sealed.
    pub digest: Option<String>,
    /// Its packages; `None` until its files are sealed.
    pub packages: Option<Packages>,
    /// The folder of its files.
    pub directory: PathBuf,
    /// When it was asked for.
    pub created_at: jiff::Timestamp,
    /// How long it took, in milliseconds; `None` until it has ended.
    pub took_ms: Option<u64>,
    /// Its job.
    pub job: Uuid,
    /// The number of the newer build that takes its place.
    pub superseded_by: Option<u32>,
}

/// Where installed packages are, and how programs find them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages {
    /// The environment's folder; `None`: the app has none.
    pub path: Option<PathBuf>,
    /// The shared one that it lies over.
    pub shared: Option<PathBuf>,
    /// Where packages are that are no Python's.
    #[serde(default)]
    pub packages: Option<PathBuf>,
    /// What names them to programs.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Folders of programs, relative to the tree.
    #[serde(default)]
    pub programs: Vec<PathBuf>,
    /// The folder of Node's programs, where it is not the system's.
    #[serde(default)]
    pub node: Option<PathBuf>,
}

/// A commit, and how it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// 40 hex digits.
    pub commit: String,
    /// The branch, tag or commit that somebody named.
    pub reference: String,
    /// The first line of the commit's message.
    pub subject: String,
    /// The address of its author.
    pub author: String,
}

/// Where a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildState {
    /// It waits for its turn.
    Queued,
    /// Its files are being made.
    Building,
    /// Its tests run.
    Testing,
    /// It can be used.
    Passed,
    /// Its tests failed.
    Failed,
    /// It could not be made; its files are gone.
    Error,
    /// A newer push to its branch took its place before it began.
    Superseded,
}

impl BuildState {
    /// Whether it has its files.
    pub fn is_made(self) -> bool {
        matches!(self, Self::Passed | Self::Failed)
    }
}

impl fmt::Display for BuildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Testing => "testing",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Superseded => "superseded",
        })
    }
}

/// What a build's tests came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether they passed.
    pub passed: bool,
    /// In a sentence.
    pub message: String,
    /// How many tests their reports name; 0: there are none.
    pub tests: u64,
    /// How many of these failed.
    pub failed: u64,
    /// How many were left out.
    pub skipped: u64,
    /// The names of the first that failed.
    pub names: Vec<String>,
}

#[cfg(test)]
impl Build {
    /// One of the project `demo` that nobody has made yet, whose folders are in this one.
    pub(crate) fn drafted(directory: PathBuf) -> Self {
        Self {
            id: 0,
            project: ProjectName::parse("demo").unwrap(),
            number: 0,
            source: Source {
                commit: "c".repeat(40),
                reference: "main".into(),
                subject: "One".into(),
                author: "anna@example.com".into(),
            },
            recipe: "r".into(),
            state: BuildState::Queued,
            verdict: None,
            digest: None,
            packages: None,
            directory,
            created_at: jiff::Timestamp::now(),
            took_ms: None,
            job: Uuid::now_v7(),
            superseded_by: None,
        }
    }
}
