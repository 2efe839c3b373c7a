//! What a helper can be asked to do. One JSON document a line on its standard input; see
//! [`super`] for the way back.

mod work;

pub use work::{
    HOME, LeftFile, LeftFiles, Listing, LookAtTree, RecordMade, RepositoryWork, TREE, TreeLook,
    UnfinishedWork, WorkReport, WorkStatus,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
};

/// A request with a reply of a known type.
pub trait Ask: Send {
    /// What comes back.
    type Reply: Serialize + DeserializeOwned + Send;
    /// Wraps it for the wire.
    fn into_request(self) -> Request;
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident => $reply:ty,)*) => {
        /// Any request.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(tag = "request", rename_all = "snake_case")]
        pub enum Request { $($(#[$doc])* $name($name),)* }

        $(impl Ask for $name {
            type Reply = $reply;
            fn into_request(self) -> Request { Request::$name(self) }
        })*
    };
}

requests! {
    /// Keeps user and token for the requests that follow.
    UseCredential => (),
    /// Brings base and branch from the remote into the mirror.
    Fetch => Fetched,
    /// Looks at what a commit holds, in the mirror.
    Inspect => Inspection,
    /// Makes the clone.
    CloneTree => (),
    /// Ends the connection to a git server that is kept for what follows.
    HangUp => (),
    /// Pushes a commit of the mirror to a branch.
    Push => (),
    /// Deletes a branch on the remote if it has not moved.
    DeleteBranch => BranchDeletion,
    /// Installs dependencies into an environment.
    BuildEnvironment => Built,
    /// Installs packages of the repository from a workspace's tree.
    InstallLocal => LocalInstalled,
    /// Brings uv in, where it is not there yet.
    BringUv => (),
    /// Removes what is there of an environment.
    DiscardEnvironment => (),
    /// Writes cid's files and links into the tree.
    Configure => Configured,
    /// Gives developer and group access to a tree.
    GrantAccess => Granted,
    /// Lets accounts connect to the sockets that are made in a folder.
    OpenSockets => (),
    /// Says what of a tree its workspace's user cannot use.
    LookAtAccess => AccessReport,
    /// Says whether accounts can use paths that others gave them.
    LookAtPaths => PathReport,
    /// Runs a command.
    RunCommand => Exited,
    /// Runs one of the machine's own tools.
    RunTool => ToolExited,
    /// Finds what tools that change accounts left when they were killed.
    FindAccountFiles => AccountFiles,
    /// Says what a workspace holds that is nowhere else.
    WorkStatus => WorkReport,
    /// Says what people made in a workspace whose creation is taken back.
    UnfinishedWork => WorkReport,
    /// Says where a workspace's clone stands.
    LookAtTree => TreeLook,
    /// Writes down what cid and the project's commands made, which is nobody's work.
    RecordMade => (),
    /// Says where names lead.
    Resolve => Resolved,
    /// Removes a folder that is in the trash.
    Purge => Purged,
    /// Ends processes of the helper's own user.
    EndProcesses => Ended,
}

/// The project's repository and how to authenticate to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// https, ssh (`ssh://` or `user@host:path`), `file://` or an absolute path.
    pub url: String,
    /// Private key for SSH; `None`: the deploy user's own keys.
    pub identity_file: Option<PathBuf>,
    /// known_hosts for SSH; `None`: the deploy user's own. Unknown hosts are always refused.
    pub known_hosts: Option<PathBuf>,
    /// File with user and token for https, which the daemon reads and hands over; `None`: the server
    /// asks for nothing.
    #[serde(default)]
    pub credential_file: Option<PathBuf>,
}

/// A text that shows in no log. It is written to the pipe of the helper that is to use it, and nowhere
/// else.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// See [`Request::UseCredential`]. Never part of a plan, for plans are journalled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UseCredential {
    /// Who the server is to take it for.
    pub user: String,
    /// Token or password.
    pub token: Secret,
}

impl Request {
    /// The git server that it is about, if it is about one.
    pub fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Fetch(ask) if !ask.is_fresh => Some(&ask.remote),
            Self::Push(ask) => Some(&ask.remote),
            Self::DeleteBranch(ask) => Some(&ask.remote),
            _ => None,
        }
    }
}

/// See [`Request::HangUp`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HangUp {}

/// See [`Request::Fetch`]. Makes the bare mirror if it is missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fetch {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// From where.
    pub remote: Remote,
    /// Base branch.
    pub base: String,
    /// The workspace's branch, which need not exist.
    pub branch: String,
    /// Brings the tags too, for who asks what the remote holds.
    pub tags: bool,
    /// The mirror has been brought up to date a moment ago: only read it.
    pub is_fresh: bool,
    /// How large the mirror may get.
    pub max_bytes: u64,
}

/// Reply to [`Fetch`]. The mirror's `refs/heads/*` are as on the remote now; a base branch that
/// does not exist is a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Commit of the base branch.
    pub base: String,
    /// Commit of the workspace's branch; `None` when the remote has none.
    pub branch: Option<String>,
    /// How many commits the workspace's branch has that are not in base.
    pub ahead: usize,
}

/// See [`Request::Inspect`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspect {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// What will be checked out.
    pub commit: String,
    /// The base branch's commit.
    pub base: String,
    /// Where in the repository the app lives; `.` for its root.
    pub app_dir: PathBuf,
    /// What the project file says itself, so that the repository's word does not count.
    pub given: Given,
}

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

/// Reply to [`Inspect`]: facts by file name and content, nothing of the repository was run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// What a person may not expect, e.g. files that cid does not read.
    pub notes: Vec<String>,
    /// Process types of the Procfile in its order, without `release`, each a shell line.
    pub processes: Vec<(String, String)>,
    /// The Procfile's `release` line.
    pub release: Option<String>,
    /// How dependencies are declared; `None`: not at all.
    pub dependencies: Option<Dependencies>,
    /// SHA-256 over what `dependencies` names at the commit: file names and contents, `-r` and
    /// `-c` followed. `None` where that cannot be told (something outside the repository).
    pub dependencies_key: Option<String>,
    /// Packages of the repository itself are among them.
    pub local: bool,
    /// The same key for the base branch's commit.
    pub base_key: Option<String>,
    /// `manage.py` exists.
    pub django: bool,
    /// Dotted module of the only `*/wsgi.py`, e.g. `pressa.wsgi`.
    pub wsgi_module: Option<String>,
    /// The declared dependencies name gunicorn.
    pub gunicorn: bool,
    /// Names of the files in the app's folder that the decision rests on.
    pub found: Vec<String>,
    /// What was looked for, for the message 'nothing to run'.
    pub looked_for: Vec<String>,
}

/// How an app declares its dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependencies {
    /// `uv.lock` beside `pyproject.toml`.
    UvLock,
    /// `requirements.txt`.
    Requirements,
    /// `pyproject.toml` alone.
    Pyproject,
}

/// See [`Request::CloneTree`]. Objects are shared with the mirror by alternates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloneTree {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// Where the clone goes: nowhere yet, into an empty folder, or over a half-made clone.
    pub target: PathBuf,
    /// What `origin` is set to.
    pub url: String,
    /// Base branch.
    pub base: String,
    /// Its commit.
    pub base_commit: String,
    /// The workspace's branch, made and checked out with `origin/BRANCH` as upstream.
    pub branch: String,
    /// The commit checked out.
    pub commit: String,
    /// Who commits here, for git of the workspace's own user.
    pub person: Person,
}

/// Whom git of the workspace's own user takes for the author, until it is told otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// HOME of the workspace's commands; git's settings there say who it is.
    pub home: PathBuf,
    /// Their address.
    pub email: String,
}

/// See [`Request::RunTool`]. It gets a clean environment, and its files the machine's usual rights.
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

/// See [`Request::FindAccountFiles`].
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

/// See [`Request::Push`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The bare mirror, which holds the commit.
    pub mirror: PathBuf,
    /// To where.
    pub remote: Remote,
    /// Branch to write.
    pub branch: String,
    /// Commit it shall have. A branch that has it already is no error.
    pub commit: String,
    /// Commit it must have before; `None`: it must not exist.
    pub expected: Option<String>,
    /// Only asks whether the key may write and the branch is where it is expected; changes nothing.
    pub dry_run: bool,
}

/// See [`Request::DeleteBranch`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteBranch {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// From where.
    pub remote: Remote,
    /// Which branch.
    pub branch: String,
    /// Delete only while it has this commit.
    pub expected: String,
}

/// Reply to [`DeleteBranch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchDeletion {
    /// It is gone.
    Deleted,
    /// There was none.
    Absent,
    /// It has another commit than expected and was left alone.
    Moved,
}

/// The file in an environment that says that it is complete.
pub const ENVIRONMENT_MARK: &str = ".cid-complete";

/// See [`Request::BuildEnvironment`]. Installs without the repository's own packages, which
/// [`Request::InstallLocal`] adds, compiles to bytecode, and marks the environment complete as its last act. Begins with an empty folder: what an earlier
/// build left there is removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildEnvironment {
    /// The bare mirror, from which the declaring files are taken.
    pub mirror: PathBuf,
    /// At this commit.
    pub commit: String,
    /// Where in the repository the app lives.
    pub app_dir: PathBuf,
    /// How dependencies are declared; `None`: an empty environment, for the operator's commands.
    pub dependencies: Option<Dependencies>,
    /// The environment's folder, its final place (environments cannot be moved).
    pub target: PathBuf,
    /// Folder for tools that cid brings in, e.g. uv.
    pub tools_dir: PathBuf,
    /// Use pip where there is no uv; otherwise the reply says that there is none.
    pub or_pip: bool,
    /// Whether installers get a HOME of this build's own. The helper's may hold a person's settings,
    /// which are wanted in a sandbox.
    pub own_home: bool,
    /// What installers are told beside what is cid's own: the network's settings, the project's variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// Reply to [`BuildEnvironment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Built {
    /// The environment is complete.
    Complete,
    /// Nothing was installed: there is no uv.
    WantsUv,
}

/// See [`Request::InstallLocal`]. Which packages these are the environment's build has written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstallLocal {
    /// Where they go: an environment of the workspace's own.
    pub environment: PathBuf,
    /// The shared environment that it lies over, and is made afresh for; `None`: it has all packages itself.
    pub shared: Option<PathBuf>,
    /// The clone.
    pub tree: PathBuf,
    /// Where in the repository the app lives.
    pub app_dir: PathBuf,
    /// As in [`BuildEnvironment`].
    pub tools_dir: PathBuf,
    /// As in [`BuildEnvironment`].
    pub own_home: bool,
    /// What installers are told beside what is cid's own: the network's settings, the project's variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// Reply to [`InstallLocal`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalInstalled {
    /// What a person may not expect.
    pub notes: Vec<String>,
}

/// See [`Request::DiscardEnvironment`]. Empties at least its folder, whose parent may be somebody else's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiscardEnvironment {
    /// The environment's folder.
    pub target: PathBuf,
}

/// See [`Request::BringUv`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BringUv {
    /// Folder for tools that cid brings in.
    pub tools_dir: PathBuf,
    /// What installers are told beside what is cid's own: the network's settings, the project's variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// See [`Request::Configure`].
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

/// See [`Request::GrantAccess`]. Follows no links, crosses no mounts; leaves files with more than one
/// hard link alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GrantAccess {
    /// Folders to give access to, all below the workspace's or the project's mirror.
    pub roots: Vec<PathBuf>,
    /// Accounts with access.
    pub uids: Vec<u32>,
    /// Groups with access.
    pub gids: Vec<u32>,
    /// What belongs to none of these accounts is left alone; empty: to whomever it belongs. Somebody
    /// with more rights than the tree's owner must say so: files of others can be moved into a tree.
    pub owners: Vec<u32>,
    /// Access to read; otherwise to read and write.
    pub reads_only: bool,
}

/// See [`Request::OpenSockets`]. Nobody else, but for the folder's owner, gets there.
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

/// See [`Request::LookAtAccess`]. Changes nothing.
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
    /// Groups that share the tree. Accounts and groups that its folder's lists name beside these, the
    /// developer and the workspace's user have no business there.
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

/// See [`Request::LookAtPaths`]. Changes nothing.
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

/// See [`Request::RunCommand`]. Its output goes to the job's log line by line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunCommand {
    /// The program, looked up on `env`'s PATH, and its arguments; no shell.
    pub command: Vec<String>,
    /// Working folder.
    pub dir: PathBuf,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
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

/// See [`Request::Resolve`].
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

/// See [`Request::Purge`]. Walks by descriptor, follows no link, crosses no mount.
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

/// See [`Request::EndProcesses`]. Refused as root, and where the user started the helper.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct EndProcesses {
    /// Nothing runs any more but helpers of cid's: end none.
    pub spare: bool,
    /// Only those in no control group of cid's: the app goes on.
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
