//! What a helper can be asked to do. One JSON document a line on its standard input; see
//! [`super`] for the way back.

mod access;
mod build;
mod command;
mod git;
mod mail;
mod packages;
mod post;
mod socket;
mod template;
mod tree;
mod work;

pub use access::{
    AccessReport, Given, GrantAccess, Granted, LookAtAccess, LookAtPaths, Obstacle, OpenSockets,
    PathAsk, PathReport, SkipReason, Skipped,
};
pub use build::{
    CompareCommits, Compared, CopyBuild, ExportCommit, Exported, FindCommit, FoundCommit,
    IsAncestor, ReadReports, Reports, SealBuild, SealedBuild, TakeOver,
};
pub use command::{
    AccountFiles, EndProcesses, Ended, Exited, FindAccountFiles, Resolve, Resolved, Resource,
    RunCommand, RunTool, ToolExited,
};
pub use git::{
    BranchDeletion, Branches, CloneTree, DeleteBranch, Fetch, Fetched, HangUp, ListBranches,
    Person, Push, Remote, Secret, UseCredential,
};
pub use mail::{MailTaken, Protection, SendMail};
pub use packages::{
    BringNode, BringPython, BringUv, BuildPackages, Built, CheckPackages, Checked, Dependencies,
    DiscardPackages, DjangoSettings, FOR_TREE, FindNode, FindPython, Inspect, Inspection,
    InstallCommands, InstallLocal, LOCAL_LIST, LocalInstalled, NodeFound, PACKAGES, PlacePackages,
    Placed, PythonFound, ReadVariable, SUBMODULES, SealPackages, Unset, WantedNode, WantedPython,
    WantedVersion,
};
pub use post::{Post, Posted};
pub use socket::{AnswerBy, RemoveSocket};
pub use template::{CHANGED, IN_HOME, NEW, PlaceMade, TakeMade, TakenMade};
pub use tree::{
    CollectStatic, Collected, Configure, Configured, FileSource, KeepFile, KeepOnly, Purge, Purged,
    STATIC, STATIC_FOLDER, ShowStatic, TreeFile, TreeLink, waiting_static,
};
pub use work::{
    HOME, LeftFile, LeftFiles, Listing, LookAtTree, OTHER_VENV, RecordMade, RepositoryWork, TREE,
    TakeBackTree, TreeLook, TreeState, UnfinishedWork, UpdateTree, VENV, WorkReport, WorkStatus,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

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
    /// Asks the remote where branches are.
    ListBranches => Branches,
    /// Looks at what a commit holds, in the mirror.
    Inspect => Inspection,
    /// Finds a commit of the mirror; `None`: it has no such commit.
    FindCommit => Option<FoundCommit>,
    /// Says which commits of the mirror lie between two.
    CompareCommits => Compared,
    /// Says whether a commit of the mirror is another one, or comes before it.
    IsAncestor => bool,
    /// Writes a commit's files into a folder, without their history.
    ExportCommit => Exported,
    /// Takes write bits away from a build's files, and says what they are.
    SealBuild => SealedBuild,
    /// Makes what is sealed the own of the user that this runs as.
    TakeOver => (),
    /// Copies a build's files for its tests.
    CopyBuild => (),
    /// Keeps what a project's commands made in a tree.
    TakeMade => TakenMade,
    /// Gives it to a workspace; the number of files.
    PlaceMade => u64,
    /// Reads what tests reported.
    ReadReports => Reports,
    /// Makes the clone.
    CloneTree => (),
    /// Ends the connection to a git server that is kept for what follows.
    HangUp => (),
    /// Pushes a commit of the mirror to a branch.
    Push => (),
    /// Deletes a branch on the remote if it has not moved.
    DeleteBranch => BranchDeletion,
    /// Installs dependencies into an environment.
    BuildPackages => Built,
    /// Makes a complete environment read-only.
    SealPackages => (),
    /// Says whether a sealed environment is as it was.
    CheckPackages => Checked,
    /// Puts what belongs into a workspace's tree there.
    PlacePackages => Placed,
    /// Installs packages of the repository from a workspace's tree.
    InstallLocal => LocalInstalled,
    /// Says which Python of the machine's an environment would be made of.
    FindPython => PythonFound,
    /// Says which Node runs an app.
    FindNode => NodeFound,
    /// Brings a Node in, where it is not there yet.
    BringNode => (),
    /// Brings a Python in, by uv, where it is not there yet.
    BringPython => (),
    /// Brings uv in, where it is not there yet.
    BringUv => (),
    /// Removes what is there of an environment.
    DiscardPackages => (),
    /// Writes cid's files and links into the tree.
    Configure => Configured,
    /// Copies collected static files out of the tree, for nginx.
    CollectStatic => Collected,
    /// Has nginx serve an instance's collected files, or the earlier ones again.
    ShowStatic => (),
    /// Gives developer and group access to a tree.
    GrantAccess => Granted,
    /// Lets accounts connect to the sockets that are made in a folder.
    OpenSockets => (),
    /// Has nginx reach an instance by its socket.
    AnswerBy => bool,
    /// Removes the socket of an instance that has stopped.
    RemoveSocket => (),
    /// Says what of a tree its workspace's user cannot use.
    LookAtAccess => AccessReport,
    /// Says whether accounts can use paths that others gave them.
    LookAtPaths => PathReport,
    /// Runs a command.
    RunCommand => Exited,
    /// Runs one of the machine's own tools.
    RunTool => ToolExited,
    /// Hands a mail to a server.
    SendMail => MailTaken,
    /// Posts a document to a server.
    Post => Posted,
    /// Finds what tools that change accounts left when they were killed.
    FindAccountFiles => AccountFiles,
    /// Says what a workspace holds that is nowhere else.
    WorkStatus => WorkReport,
    /// Says what people made in a workspace whose creation is taken back.
    UnfinishedWork => WorkReport,
    /// Says where a workspace's clone stands.
    LookAtTree => TreeLook,
    /// Brings a workspace's clone up to date, where that loses nothing.
    UpdateTree => TreeState,
    /// Takes that back, where that loses nothing.
    TakeBackTree => Option<String>,
    /// Writes down what cid and the project's commands made, which does not count as work.
    RecordMade => (),
    /// Says where names lead.
    Resolve => Resolved,
    /// Gives a file its name once it is whole and on disk.
    KeepFile => bool,
    /// Removes what else is in a folder.
    KeepOnly => Purged,
    /// Removes a folder that is in the trash.
    Purge => Purged,
    /// Ends processes of the helper's own user.
    EndProcesses => Ended,
}

impl Request {
    /// The git server that it is about, if it is about one.
    pub fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Fetch(ask) if !ask.is_fresh => Some(&ask.remote),
            Self::ListBranches(ask) => Some(&ask.remote),
            Self::Push(ask) => Some(&ask.remote),
            Self::DeleteBranch(ask) => Some(&ask.remote),
            _ => None,
        }
    }
}
