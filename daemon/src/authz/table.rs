//! The authorisation table: an RPC without a row is denied to everybody.

use super::Door;
use Through::{Administrators, Owner, People, Visitors};

/// A kind of right; polkit knows it as `org.cid.NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// See workspaces, jobs and projects.
    List,
    /// Make a workspace for one's own address.
    CreateOwn,
    /// Make a workspace for another address.
    CreateForOthers,
    /// Remove one's own workspace.
    DeleteOwn,
    /// Remove anybody's workspace.
    DeleteAny,
    /// Restart, stop and start a workspace's processes.
    Restart,
    /// Read a workspace's logs.
    ReadLogs,
    /// Run commands in a workspace.
    Run,
    /// Bring a workspace to its branch's newest commit.
    Deploy,
    /// Have a build run in a stage.
    Promote,
    /// Have a build run in a stage again.
    RollBack,
    /// Build and test a commit, and read what its tests printed.
    Build,
    /// Have a remote looked at, and what is new there followed.
    Fetch,
    /// Remove a build.
    DeleteBuild,
    /// Cancel jobs and retry stuck ones.
    ManageJobs,
    /// Compare the ledger with the machine and repair; give access to files again.
    Repair,
    /// Check project files, and remove projects.
    ManageProjects,
    /// Read the audit log.
    Audit,
    /// Make links to sign in, see who is signed in, and end sessions.
    ManagePeople,
    /// Switch the web front on and off.
    ManageFront,
    /// Sign in and out at the front.
    SignIn,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 21] = [
        Self::List,
        Self::CreateOwn,
        Self::CreateForOthers,
        Self::DeleteOwn,
        Self::DeleteAny,
        Self::Restart,
        Self::ReadLogs,
        Self::Run,
        Self::Deploy,
        Self::Promote,
        Self::RollBack,
        Self::Build,
        Self::Fetch,
        Self::DeleteBuild,
        Self::ManageJobs,
        Self::Repair,
        Self::ManageProjects,
        Self::Audit,
        Self::ManagePeople,
        Self::ManageFront,
        Self::SignIn,
    ];

    /// polkit's name for it.
    pub fn id(self) -> &'static str {
        match self {
            Self::List => "org.cid.list",
            Self::CreateOwn => "org.cid.create-own",
            Self::CreateForOthers => "org.cid.create-for-others",
            Self::DeleteOwn => "org.cid.delete-own",
            Self::DeleteAny => "org.cid.delete-any",
            Self::Restart => "org.cid.restart",
            Self::ReadLogs => "org.cid.read-logs",
            Self::Run => "org.cid.run",
            Self::Deploy => "org.cid.deploy",
            Self::Promote => "org.cid.promote",
            Self::RollBack => "org.cid.roll-back",
            Self::Build => "org.cid.build",
            Self::Fetch => "org.cid.fetch",
            Self::DeleteBuild => "org.cid.delete-build",
            Self::ManageJobs => "org.cid.manage-jobs",
            Self::Repair => "org.cid.repair",
            Self::ManageProjects => "org.cid.manage-projects",
            Self::Audit => "org.cid.audit",
            Self::ManagePeople => "org.cid.manage-people",
            Self::ManageFront => "org.cid.manage-front",
            Self::SignIn => "org.cid.sign-in",
        }
    }

    /// Whether it only shows what exists. Logs and the audit log show what people did, so they do not
    /// count.
    pub fn is_overview(self) -> bool {
        matches!(self, Self::List)
    }
}

/// The right that an RPC needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Decided before the request is read.
    Plain(Action),
    /// Decided once the request has told which workspace it is about.
    About {
        /// For the caller's own workspace.
        own: Action,
        /// For anybody else's workspace.
        other: Action,
    },
}

/// Who may call an RPC through the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// Nobody.
    Nobody,
    /// Everybody, signed in or not.
    Visitors,
    /// Everybody who is signed in.
    People,
    /// Those who own what it is about, and administrators.
    Owner,
    /// Administrators.
    Administrators,
}

/// One RPC.
pub struct Row {
    /// The request's path.
    pub rpc: &'static str,
    /// The right it needs.
    pub right: Right,
    /// The sockets that offer it.
    pub doors: &'static [Door],
    /// The RPC is about a job. On these sockets it also shows the output of the job's commands and
    /// processes, to callers who may read the workspace's logs ([`Action::ReadLogs`]).
    pub output: &'static [Door],
    /// The workspace's creator counts as its owner where the project's file names no account for it.
    pub for_creator: bool,
    /// Who may call it through the front.
    pub through: Through,
    /// While the front asks nobody who they are, visitors may call it too.
    pub open: bool,
}

impl Row {
    const fn for_creator(mut self) -> Self {
        self.for_creator = true;
        self
    }

    const fn front(mut self, through: Through) -> Self {
        self.through = through;
        self
    }

    const fn open(mut self) -> Self {
        self.open = true;
        self
    }
}

const PEOPLE: &[Door] = &[Door::People];
const FRONT: &[Door] = &[Door::Front];
const BOTH: &[Door] = &[Door::People, Door::Front];

const fn plain(rpc: &'static str, action: Action, doors: &'static [Door]) -> Row {
    let right = Right::Plain(action);
    Row {
        rpc,
        right,
        doors,
        output: &[],
        for_creator: false,
        through: Through::Nobody,
        open: false,
    }
}

/// A row that shows a job to everyone who may know that it exists; fewer may see its output.
const fn of_job(rpc: &'static str, doors: &'static [Door], output: &'static [Door]) -> Row {
    let right = Right::Plain(Action::List);
    Row {
        rpc,
        right,
        doors,
        output,
        for_creator: true,
        through: Through::Nobody,
        open: false,
    }
}

const fn about(rpc: &'static str, own: Action, other: Action, doors: &'static [Door]) -> Row {
    let right = Right::About { own, other };
    Row {
        rpc,
        right,
        doors,
        output: &[],
        for_creator: false,
        through: Through::Nobody,
        open: false,
    }
}

/// A row about a workspace with one action for own and others' workspaces alike: polkit's rules look up the
/// owner.
const fn whosever(rpc: &'static str, action: Action, doors: &'static [Door]) -> Row {
    about(rpc, action, action, doors)
}

/// Every RPC there is.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    about("/cid.v1.Workspaces/Create", Action::CreateOwn, Action::CreateForOthers, BOTH).front(Owner).open(),
    plain("/cid.v1.Workspaces/Get", Action::List, BOTH).front(Owner).open(),
    plain("/cid.v1.Workspaces/List", Action::List, BOTH).front(People).open(),
    about("/cid.v1.Workspaces/Delete", Action::DeleteOwn, Action::DeleteAny, BOTH).for_creator().front(Owner),
    whosever("/cid.v1.Workspaces/Restart", Action::Restart, BOTH).front(Owner),
    whosever("/cid.v1.Workspaces/Stop", Action::Restart, BOTH).front(Owner),
    whosever("/cid.v1.Workspaces/Start", Action::Restart, BOTH).front(Owner),
    // It says no more than the visitor sees, and starts nothing but what is asleep.
    plain("/cid.v1.Workspaces/Visit", Action::List, FRONT).front(Visitors),
    whosever("/cid.v1.Workspaces/Deploy", Action::Deploy, BOTH).front(Owner),
    whosever("/cid.v1.Workspaces/RepairAccess", Action::Repair, PEOPLE),
    whosever("/cid.v1.Workspaces/Logs", Action::ReadLogs, BOTH).front(Owner),
    whosever("/cid.v1.Workspaces/Run", Action::Run, PEOPLE),
    whosever("/cid.v1.Workspaces/Test", Action::Run, BOTH).front(Owner),
    whosever("/cid.v1.Builds/Start", Action::Build, BOTH).front(Administrators),
    plain("/cid.v1.Builds/List", Action::List, BOTH).front(People),
    plain("/cid.v1.Builds/Get", Action::List, BOTH).front(People),
    whosever("/cid.v1.Builds/Logs", Action::Build, BOTH).front(People),
    whosever("/cid.v1.Builds/Delete", Action::DeleteBuild, PEOPLE),
    plain("/cid.v1.Stages/List", Action::List, BOTH).front(People),
    whosever("/cid.v1.Stages/Promote", Action::Promote, BOTH).front(Administrators),
    whosever("/cid.v1.Stages/RollBack", Action::RollBack, BOTH).front(Administrators),
    plain("/cid.v1.Stages/Preview", Action::List, BOTH).front(People),
    of_job("/cid.v1.Jobs/Get", BOTH, BOTH).front(Owner).open(),
    plain("/cid.v1.Jobs/List", Action::List, BOTH).front(People).open(),
    of_job("/cid.v1.Jobs/Watch", BOTH, BOTH).front(Owner).open(),
    whosever("/cid.v1.Jobs/Cancel", Action::ManageJobs, BOTH).for_creator().front(Owner),
    whosever("/cid.v1.Jobs/Retry", Action::ManageJobs, BOTH).for_creator().front(Owner),
    plain("/cid.v1.People/Link", Action::ManagePeople, PEOPLE),
    plain("/cid.v1.People/AskForLink", Action::SignIn, FRONT).front(Visitors),
    plain("/cid.v1.People/Redeem", Action::SignIn, FRONT).front(Visitors),
    plain("/cid.v1.People/WhoAmI", Action::List, FRONT).front(Visitors),
    plain("/cid.v1.People/Ticket", Action::List, FRONT).front(People),
    // Only somebody who has the token learns whose it is.
    plain("/cid.v1.People/Admit", Action::List, FRONT).front(Visitors),
    plain("/cid.v1.People/SignOut", Action::SignIn, FRONT).front(Visitors),
    plain("/cid.v1.People/List", Action::ManagePeople, BOTH).front(Administrators),
    plain("/cid.v1.People/EndSessions", Action::ManagePeople, BOTH).front(Administrators),
    plain("/cid.v1.Projects/List", Action::List, BOTH).front(People).open(),
    plain("/cid.v1.Projects/Get", Action::List, BOTH).front(People).open(),
    plain("/cid.v1.Projects/Check", Action::ManageProjects, PEOPLE),
    whosever("/cid.v1.Projects/Fetch", Action::Fetch, PEOPLE),
    whosever("/cid.v1.Projects/Hooks", Action::Fetch, PEOPLE),
    plain("/cid.v1.Projects/Remove", Action::ManageProjects, PEOPLE),
    plain("/cid.v1.Hooks/Deliver", Action::List, FRONT).front(Visitors),
    plain("/cid.v1.System/Version", Action::List, BOTH).front(Visitors),
    plain("/cid.v1.System/Doctor", Action::Repair, BOTH).front(Administrators),
    plain("/cid.v1.System/Prune", Action::ManageProjects, PEOPLE),
    plain("/cid.v1.System/EnableFront", Action::ManageFront, PEOPLE),
    plain("/cid.v1.System/DisableFront", Action::ManageFront, PEOPLE),
    plain("/cid.v1.System/Audit", Action::Audit, BOTH).front(Administrators),
    plain("/grpc.health.v1.Health/Check", Action::List, BOTH).front(Visitors),
    plain("/grpc.health.v1.Health/List", Action::List, BOTH).front(Visitors),
    plain("/grpc.health.v1.Health/Watch", Action::List, PEOPLE),
    plain("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Action::List, PEOPLE),
];

/// The row of an RPC.
pub fn find(rpc: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.rpc == rpc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use std::collections::HashSet;

    #[test]
    fn every_rpc_has_one_row_and_every_row_of_ours_an_rpc() {
        let set = prost_types::FileDescriptorSet::decode(cid_proto::DESCRIPTOR_SET).unwrap();
        let rpcs: HashSet<String> = set
            .file
            .iter()
            .filter(|file| file.package() == "cid.v1")
            .flat_map(|file| &file.service)
            .flat_map(|service| {
                service
                    .method
                    .iter()
                    .map(|method| format!("/cid.v1.{}/{}", service.name(), method.name()))
            })
            .collect();
        assert!(rpcs.len() > 10);
        let rows: Vec<&str> = TABLE
            .iter()
            .map(|row| row.rpc)
            .filter(|rpc| rpc.starts_with("/cid.v1."))
            .collect();
        assert_eq!(
            rows.len(),
            rows.iter().collect::<HashSet<_>>().len(),
            "two rows for one RPC"
        );
        let rows: HashSet<String> = rows.into_iter().map(str::to_owned).collect();
        assert_eq!(rows, rpcs);
    }

    #[test]
    fn an_open_front_may_do_what_the_form_needs_and_no_more() {
        let rpcs = |of: &dyn Fn(&Row) -> bool| -> Vec<&str> {
            let rows = TABLE.iter().filter(|row| of(row));
            rows.map(|row| row.rpc).collect()
        };
        assert_eq!(
            rpcs(&|row| row.open),
            [
                "/cid.v1.Workspaces/Create",
                "/cid.v1.Workspaces/Get",
                "/cid.v1.Workspaces/List",
                "/cid.v1.Jobs/Get",
                "/cid.v1.Jobs/List",
                "/cid.v1.Jobs/Watch",
                "/cid.v1.Projects/List",
                "/cid.v1.Projects/Get",
            ]
        );
        assert_eq!(
            rpcs(&|row| row.through == Visitors),
            [
                "/cid.v1.Workspaces/Visit",
                "/cid.v1.People/AskForLink",
                "/cid.v1.People/Redeem",
                "/cid.v1.People/WhoAmI",
                "/cid.v1.People/Admit",
                "/cid.v1.People/SignOut",
                "/cid.v1.Hooks/Deliver",
                "/cid.v1.System/Version",
                "/grpc.health.v1.Health/Check",
                "/grpc.health.v1.Health/List",
            ]
        );
    }

    #[test]
    fn the_front_offers_what_someone_may_call_through_it() {
        for row in TABLE {
            let is_offered = row.doors.contains(&Door::Front);
            assert_eq!(is_offered, row.through != Through::Nobody, "{}", row.rpc);
            assert!(is_offered || !row.open, "{}", row.rpc);
        }
    }

    #[test]
    fn the_policy_file_has_every_action_and_no_other() {
        let policy = include_str!("../../../polkit/actions/org.cid.policy");
        let named: Vec<&str> = policy
            .split("<action id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let known: HashSet<&str> = Action::ALL.into_iter().map(Action::id).collect();
        assert_eq!(known.len(), Action::ALL.len());
        assert_eq!(named.len(), known.len(), "an action is there twice");
        assert_eq!(named.into_iter().collect::<HashSet<_>>(), known);
    }
}
