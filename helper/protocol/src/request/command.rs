//! Requests about processes, programs of the machine and its accounts.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
};

/// See [`super::Request::RunTool`]. It gets a clean environment, and its files the machine's usual rights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunTool {
    /// Absolute path of the program, and its arguments.
    pub command: Vec<String>,
}

/// What a tool came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ToolExited {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
}

/// See [`super::Request::FindAccountFiles`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FindAccountFiles {
    /// Also removes them.
    pub remove: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AccountFiles {
    /// Which files; none while a tool is at work.
    pub left: Vec<PathBuf>,
}

/// See [`super::Request::RunCommand`]. Its output goes to the job's log line by line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunCommand {
    /// The program, looked up on `env`'s PATH, and its arguments; no shell.
    pub command: Vec<String>,
    /// Working folder.
    pub dir: PathBuf,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Its user alone may change what it makes: the files are a build's, which is sealed later.
    pub alone: bool,
}

/// Reply to [`RunCommand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// Exit status; 128 + signal when killed.
    pub status: i32,
    /// What the command ran out of: `memory` or `processes`, as far as the kernel tells.
    #[serde(default)]
    pub ran_out_of: Option<Resource>,
}

/// What the kernel shares out among units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Memory of all processes together.
    Memory,
    /// Processes and threads in all.
    Processes,
}

/// See [`super::Request::Resolve`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resolve {
    /// Host names.
    pub names: Vec<String>,
}

/// Reply to [`Resolve`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The addresses of each name; none: nobody knows it.
    pub answers: Vec<BTreeSet<IpAddr>>,
}

/// See [`super::Request::EndProcesses`]. Refused as root, and where the user started the helper.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct EndProcesses {
    /// End no process: only helpers of cid are left.
    pub spare: bool,
    /// Only those outside cid's control groups: the app goes on.
    pub outside_only: bool,
    /// Also remove what the user has in shared memory, message queues, semaphores, and the machine's folders for
    /// temporary files.
    pub leave_nothing: bool,
}

/// Reply to [`EndProcesses`]: no process is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How often it took to kill all.
    pub rounds: u32,
    /// The first of what was to be removed and could not be, and why.
    pub left: Vec<String>,
}
