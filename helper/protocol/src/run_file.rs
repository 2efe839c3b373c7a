//! The run file: how a workspace's processes are started. Written by the daemon, owned by root,
//! read by `cid-helper app` and `cid-helper run`.

use crate::{fault::Fault, request::Dependencies};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Environment and processes of one workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// `PROJECT.NAME`, or `PROJECT.NAME.N`: the instance.
    pub unit: String,
    /// Working folder of every process.
    pub dir: PathBuf,
    /// The whole environment of every process.
    pub env: BTreeMap<String, String>,
    /// How the network is reached, beside `env`, for release commands and those that people run; processes
    /// do without.
    #[serde(default)]
    pub network: BTreeMap<String, String>,
    /// Process type -> what to execute.
    pub processes: BTreeMap<String, ProcessCommand>,
    /// The Unix socket the web process listens on; `None`: on the port in `env`'s PORT.
    pub web_socket: Option<PathBuf>,
    /// Folder into which `cid-helper app` writes `UNIT.PROCESS` with `PID START_TIME`.
    pub pid_dir: PathBuf,
    /// What it was made from.
    #[serde(default)]
    pub made_from: MadeFrom,
    /// Who its processes are; `None`: who starts them, as in the sandbox.
    #[serde(default)]
    pub run_as: Option<RunAs>,
}

/// What an instance was made from, so that the next deployment can tell what has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// A hash over files, recipe and project file.
    pub digest: String,
    /// The clone's files as they were, as a tree of git's or a commit.
    pub snapshot: Option<String>,
    /// A hash over the declared dependencies, where they alone decide what is installed.
    pub packages: Option<String>,
    /// A hash for each key of the project file that decides what is installed and run.
    #[serde(default)]
    pub keys: BTreeMap<String, String>,
    /// Names of variables that the daemon sets by itself.
    #[serde(default)]
    pub own: BTreeSet<String>,
}

/// A workspace's user, and what its processes may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// Its name, for people.
    pub user: String,
    /// Its number; none of the system's own.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// All its other groups.
    #[serde(default)]
    pub groups: Vec<u32>,
    /// Folders and files it may change: the workspace's directory, what is shared.
    #[serde(default)]
    pub writable: Vec<PathBuf>,
    /// Folders and files it may read and execute besides the system's: environment, mirror.
    #[serde(default)]
    pub readable: Vec<PathBuf>,
    /// TCP ports it may listen on, besides those that the kernel chooses.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// How much of the machine it may use.
    #[serde(default)]
    pub limits: Limits,
}

/// Limits of the processes; `None` leaves them as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How many bytes of memory all of them may have together.
    #[serde(default)]
    pub memory: Option<u64>,
    /// How many files each may have open.
    #[serde(default)]
    pub open_files: Option<u64>,
    /// How many processes there may be in all.
    #[serde(default)]
    pub processes: Option<u64>,
    /// How long a file that one writes may get, in bytes.
    #[serde(default)]
    pub file_size: Option<u64>,
}

impl RunFile {
    /// Reads one.
    ///
    /// # Errors
    /// The file does not exist, or cannot be read.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Fault::io("read the run file", path, error))?;
        serde_json::from_str(&text).map_err(|error| Fault::io("read the run file", path, error))
    }
}

impl RunFile {
    /// The environment of this workspace's own that its processes use.
    pub fn own_environment(&self, directory: &Path) -> Option<PathBuf> {
        let python = self.env.get("VIRTUAL_ENV").map(PathBuf::from);
        // Others' packages are two folders below it.
        let others = Dependencies::BESIDE.iter().filter_map(|(_, variable)| {
            let path = Path::new(self.env.get(*variable)?);
            Some(path.parent()?.parent()?.to_owned())
        });
        python
            .into_iter()
            .chain(others)
            .find(|path| path.parent() == Some(directory))
    }
}

/// The process type behind nginx.
pub const WEB: &str = "web";

/// What nginx connects to, in the folder of the workspace's sockets: another name (a hard link) of the socket
/// that the web process of the instance that answers has bound.
pub const WEB_SOCKET: &str = "web.sock";

/// The name of the socket that the web process of an instance binds, in the same folder.
pub fn own_web_socket(instance: u32) -> String {
    format!("web.{instance}.sock")
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
