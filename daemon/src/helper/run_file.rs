//! The run file: how a workspace's processes are started. Written by the daemon, owned by root,
//! read by `cid-helper app` and `cid-helper run`.

use crate::system::fault::Fault;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

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
    /// The Unix socket the web process listens on; `None`: on the port in `env`'s PORT.
    pub web_socket: Option<PathBuf>,
    /// Folder into which `cid-helper app` writes `UNIT.PROCESS` with `PID START_TIME`.
    pub pid_dir: PathBuf,
    /// As whom the processes run; `None`: as who starts them.
    #[serde(default)]
    pub run_as: Option<RunAs>,
}

/// As whom a workspace's processes run, and what they may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// Name of the account.
    pub user: String,
    /// Its number.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// Other groups it is in.
    pub groups: Vec<u32>,
    /// What it may write, besides the machine's temporary folders.
    pub writable: Vec<PathBuf>,
    /// What it may read, besides what is everybody's.
    pub readable: Vec<PathBuf>,
}

impl RunFile {
    /// Reads one.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Fault::io("read the run file", path, error))?;
        serde_json::from_str(&text).map_err(|error| Fault::io("read the run file", path, error))
    }
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
