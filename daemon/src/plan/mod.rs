//! What each kind of job does, as pure functions from facts to a [`Plan`](crate::engine::Plan).

mod build;
mod create;
mod delete;
mod deploy;
mod order;
mod repair_access;
mod restart;
mod stage;
mod stop;
mod template;

pub use build::{build, recipe_of};
pub use create::create;
pub use delete::{BranchChoice, Looked, delete};
pub use deploy::deploy;
pub use order::{Ground, Order};
pub use repair_access::repair_access;
pub use restart::restart;
pub use stage::deploy_build;
pub use stop::{sleep, start, stop};
pub use template::template;

use crate::{
    config::{Project, Settings},
    domain::{Account, JobKind, Workspace},
    engine::Plan,
    layout::Layout,
};
use std::path::PathBuf;

/// The facts that plans are made from.
pub struct Facts<'a> {
    /// Where things are.
    pub layout: &'a Layout,
    /// The daemon's settings.
    pub settings: &'a Settings,
    /// The project as its file says now.
    pub project: &'a Project,
    /// The workspace.
    pub workspace: &'a Workspace,
    /// The account it uses; `None` in a sandbox.
    pub account: Option<Account>,
}

impl Facts<'_> {
    fn mirror(&self) -> PathBuf {
        self.layout.mirror(&self.project.name)
    }
}

/// A kind of job about a workspace that is there before and after it.
#[derive(Debug)]
pub struct Staying {
    /// The kind of job.
    pub kind: JobKind,
    /// Its steps.
    pub plan: fn(&Facts<'_>) -> Plan,
    /// Why it cannot be done to a stage; `None`: it can.
    pub not_of_stage: Option<&'static str>,
    /// What it is called where it is refused for a full disk; `None`: it needs no room.
    pub needs_room: Option<&'static str>,
}

macro_rules! rows {
    ($($(#[$doc:meta])+ $name:ident = $row:expr;)+) => {
        impl Staying {
            $($(#[$doc])+ pub const $name: Self = $row;)+

            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

rows! {
    /// Restarts a workspace's processes.
    RESTART = Self {
        kind: JobKind::Restart,
        plan: restart,
        not_of_stage: None,
        needs_room: None,
    };
    /// Stops a workspace's processes until somebody starts them.
    STOP = Self {
        kind: JobKind::Stop,
        plan: stop,
        not_of_stage: Some("it serves until another build takes its place"),
        needs_room: None,
    };
    /// Stops them until the next visitor comes.
    SLEEP = Self {
        kind: JobKind::Sleep,
        plan: sleep,
        not_of_stage: Some("it never sleeps"),
        needs_room: None,
    };
    /// Starts the processes of a workspace that is stopped or asleep.
    START = Self {
        kind: JobKind::Start,
        plan: start,
        not_of_stage: Some("it is never stopped"),
        needs_room: None,
    };
    /// Brings a workspace up to date while it serves.
    DEPLOY = Self {
        kind: JobKind::Deploy,
        plan: deploy,
        not_of_stage: Some("a build comes to run there by cictl promote"),
        needs_room: Some("a deployment"),
    };
    /// Gives a workspace's people their access again.
    REPAIR_ACCESS = Self {
        kind: JobKind::RepairAccess,
        plan: repair_access,
        not_of_stage: Some("nobody but its app gets at its files"),
        needs_room: None,
    };
}
