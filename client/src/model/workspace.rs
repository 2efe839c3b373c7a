//! One person's copy of a project.

use super::names;
use cid_proto::v1 as pb;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// One person's copy of one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workspace {
    /// Whose it is.
    pub email: String,
    /// Which project it is a copy of.
    pub project: String,
    /// Directory, branch and sub-domain are called so.
    pub name: String,
    /// Where its life has got to.
    pub state: WorkspaceState,
    /// Whether it is what its visitors should get.
    pub health: Health,
    /// When a visitor last came, or a job of it last ended; `None`: not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// Where it answers; `None` until the web process has an address.
    pub url: Option<String>,
    /// The port its web process listens on; `None` until one is reserved.
    pub port: Option<u16>,
    /// The absolute path of its directory.
    pub directory: String,
    /// The branch it is on.
    pub branch: String,
    /// Since when its branch is known to be gone from the remote.
    pub branch_gone_at: Option<Timestamp>,
    /// What its processes have in memory, in bytes; `None`: none runs, or nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The commit the clone was made at, 40 hex digits; `None` before that.
    pub commit: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Its newest job.
    pub job: Option<String>,
    /// Who asked for it: an account's name or number, or the address typed into the form.
    pub creator: Option<String>,
    /// What is wrong, where it is not up.
    pub health_message: Option<String>,
    /// Since when it is known to be so.
    pub health_since: Option<Timestamp>,
    /// Its processes; only where one workspace was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
    /// Where its clone stands; `None` where nobody asked or it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Its newest deployment, where that failed.
    pub failed_deployment: Option<FailedDeployment>,
}

/// A deployment that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedDeployment {
    /// Its job.
    pub job: String,
    /// When it had been taken back.
    pub at: Timestamp,
    /// The build that was to run in a stage; `None`: it was a workspace's.
    pub build: Option<u32>,
    /// Why it failed.
    pub message: String,
}

/// Where a workspace's clone stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The commit that is checked out, 40 hex digits.
    pub head: Option<String>,
    /// The branch that is checked out; `None`: a commit alone.
    pub branch: Option<String>,
    /// How many commits the remote's branch lacks, as far as the clone knows it.
    pub ahead: Option<u32>,
    /// How many it has more.
    pub behind: Option<u32>,
    /// What has changed since its processes were set up, and that a restart does not bring into effect.
    pub stale: Vec<String>,
    /// The first line of the commit's message.
    pub subject: Option<String>,
    /// How many files differ from the commit; `None`: it cannot be told.
    pub uncommitted: Option<u32>,
    /// Why the newest deployment left the tree as it was; `None` where it has all that the remote has.
    pub left_alone: Option<String>,
    /// When that was.
    pub left_alone_at: Option<Timestamp>,
}

/// A process of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its type, e.g. `web`.
    pub name: String,
    /// Whether it runs.
    pub state: ProcessState,
    /// Since when it does, or does not; `None`: the daemon does not know.
    pub since: Option<Timestamp>,
    /// How often it was started again since the workspace was started.
    pub restarts: u32,
    /// What it and its descendants have in memory, in bytes; `None`: it does not run.
    pub memory: Option<u64>,
    /// How it last ended by itself, e.g. `exit status 1`; `None`: it did not.
    pub last_end: Option<String>,
    /// When that was.
    pub last_ended_at: Option<Timestamp>,
    /// What it wrote last, as far as it was asked for, which takes the right to read logs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// A state this client does not know.
    Unknown,
    /// It does not run, and is not meant to.
    Stopped,
    /// It has run for less than a second or two.
    Starting,
    /// It runs.
    Running,
    /// It ends again and again, though it may run just now.
    Crashing,
}

names!(ProcessState = pb::ProcessState ["PROCESS_STATE_"] {
    Unknown => "unknown",
    Stopped => "stopped",
    Starting => "starting",
    Running => "running",
    Crashing => "crashing",
});

/// Where a workspace's life has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceState {
    /// A state this client does not know.
    Unknown,
    /// Being made.
    Creating,
    /// Made.
    Ready,
    /// Its job is stuck; a person must look.
    Failed,
    /// Being removed.
    Deleting,
    /// Its processes were stopped, and run again when somebody starts them.
    Stopped,
    /// Its processes run again when the next visitor comes.
    Asleep,
}

impl WorkspaceState {
    /// Whether its processes are not to run.
    pub fn is_away(self) -> bool {
        matches!(self, Self::Stopped | Self::Asleep)
    }
}

/// What a visitor of a workspace that did not answer can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visited {
    /// Its processes are not stopped.
    Runs,
    /// It was asleep, and can be asked now.
    Woken,
    /// Somebody stopped it.
    Stopped,
    /// It cannot be asked now.
    Silent,
}

names!(WorkspaceState = pb::WorkspaceState ["WORKSPACE_STATE_"] {
    Unknown => "unknown",
    Creating => "creating",
    Ready => "ready",
    Failed => "failed",
    Deleting => "deleting",
    Stopped => "stopped",
    Asleep => "asleep",
});

/// Whether a workspace is what its visitors should get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not ready yet, or nobody can tell.
    Unknown,
    /// Every process runs, and visitors get what they should.
    Up,
    /// It was started a moment ago and does not answer yet.
    Starting,
    /// Its page answers wrongly, or not at all.
    Failing,
    /// A process ends again and again.
    Crashing,
    /// A process was stopped.
    Down,
}

names!(Health = pb::Health ["HEALTH_"] {
    Unknown => "unknown",
    Up => "up",
    Starting => "starting",
    Failing => "failing",
    Crashing => "crashing",
    Down => "down",
});

/// The answer to a request for a workspace: what it will be, and the job that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Created {
    /// The workspace as far as it is known.
    pub workspace: Workspace,
    /// The job to watch.
    pub job: String,
}

/// One line that a workspace's process wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The process's type, e.g. `web`.
    pub process: String,
    /// The line without its line feed, bytes as the process wrote them; in JSON
    /// with U+FFFD for what is not UTF-8.
    #[serde(serialize_with = "lossy")]
    pub line: Vec<u8>,
    /// Where the line ends.
    #[serde(skip)]
    pub end: LogPlace,
}

/// A place in a process's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPlace {
    /// Tells the file from the one before it and the one after it.
    pub file: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

fn lossy<S: Serializer>(line: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(line))
}

/// What may be lost or go along when a workspace is deleted; nothing by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    /// Delete the remote branch as well.
    pub with_branch: bool,
    /// With `with_branch`: also when the branch has commits that are not in base.
    pub force: bool,
    /// Lose uncommitted and unpushed work.
    pub discard: bool,
    /// What a look a moment ago found: see [`Look`].
    pub looked: String,
}

/// What would go with a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Files that git does not keep.
    pub files: LeftFiles,
    /// For [`DeleteOptions::looked`]: spares remotes the same question; good for 10 minutes.
    pub looked: String,
}

/// A delete that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The job that carries it out.
    pub job: String,
    /// Files that go with the workspace; with `discard` nobody looked.
    pub files: LeftFiles,
}

/// What goes with a workspace and does not keep it: files that git does not keep and cid did not make, e.g. a
/// local database, and commits that a reflog alone holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LeftFiles {
    /// The biggest ones, at most 10.
    pub biggest: Vec<LeftFile>,
    /// How many entries there are beside those.
    pub more: u64,
    /// Files in all.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Counting was given up: there are more.
    pub is_partial: bool,
    /// `REPOSITORY: <short id> <subject>`, the newest first, at most 10.
    pub forgotten: Vec<String>,
    /// How many more there are.
    pub more_forgotten: u64,
}

/// A file, or a folder with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftFile {
    /// Relative to the workspace's folder; a folder's path ends with a slash.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Which part of the logs is wanted; the last 100 lines of each process by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogOptions {
    /// One process type, e.g. `web`; `None`: all.
    pub process: Option<String>,
    /// Stay and give what comes.
    pub follow: bool,
    /// How many of the last lines of each process to begin with; 0: 100.
    pub lines: u32,
    /// With `process`: begin after this place; where its file is gone, `lines` counts.
    pub after: Option<LogPlace>,
}

/// A person's terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// Its kind, as in TERM.
    pub name: String,
    /// Its size at the beginning.
    pub size: TerminalSize,
}

/// How large a terminal is; 0: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// What a command that runs in a workspace is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunInput {
    /// Bytes for its standard input.
    Bytes(Vec<u8>),
    /// Its terminal has this size now.
    Size(TerminalSize),
}

/// What a command that runs in a workspace gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOutput {
    /// Bytes of its standard output.
    Stdout(Vec<u8>),
    /// Bytes of its standard error.
    Stderr(Vec<u8>),
    /// It has ended, with this status; 128 + signal when it was killed. The last item.
    Exit(u8),
}
