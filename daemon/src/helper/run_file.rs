//! The run file: how a workspace's processes are started. Written by the daemon, owned by root,
//! read by `cid-helper app` and `cid-helper run`.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Environment and processes of one workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// `PROJECT.NAME`.
    pub unit: String,
    /// Working folder of every process.
    pub dir: PathBuf,
    /// The whole environment of every process.
    pub env: BTreeMap<String, String>,
    /// Process type -> what to execute.
    pub processes: BTreeMap<String, ProcessCommand>,
    /// Folder into which `cid-helper app` writes `UNIT.PROCESS` with `PID START_TIME`.
    pub pid_dir: PathBuf,
}

/// What to execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessCommand {
    /// Program and arguments.
    Arguments(Vec<String>),
    /// A Procfile's line, given to `sh -c` unchanged.
    Shell(String),
}
