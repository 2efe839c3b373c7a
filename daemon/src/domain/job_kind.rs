//! The kinds of jobs, one row each.

use super::WorkspaceState;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a job's success makes of its workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It has this state.
    Now(WorkspaceState),
    /// It has the state that it had before.
    AsBefore,
    /// It is no more.
    Gone,
}

macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident = $name:literal, $becomes:expr;)+) => {
        /// The kind of a job.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum JobKind {
            $($(#[$doc])+ #[serde(rename = $name)] $kind,)+
        }

        impl JobKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Its name in the ledger, in messages and, in capitals, on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// What becomes of the workspace when such a job is done.
            pub fn becomes(self) -> Becomes {
                match self { $(Self::$kind => $becomes),+ }
            }
        }
    };
}

kinds! {
    /// Makes a workspace.
    Create = "create", Becomes::Now(WorkspaceState::Ready);
    /// Removes a workspace.
    Delete = "delete", Becomes::Gone;
    /// Restarts a workspace's processes.
    Restart = "restart", Becomes::Now(WorkspaceState::Ready);
    /// Stops a workspace's processes until somebody starts them.
    Stop = "stop", Becomes::Now(WorkspaceState::Stopped);
    /// Stops them until the next visitor comes.
    Sleep = "sleep", Becomes::Now(WorkspaceState::Asleep);
    /// Starts the processes of a workspace that is stopped or asleep.
    Start = "start", Becomes::Now(WorkspaceState::Ready);
    /// Brings a workspace up to date, and follows its processes by new ones.
    Deploy = "deploy", Becomes::Now(WorkspaceState::Ready);
    /// Gives access to a workspace's files again.
    RepairAccess = "repair-access", Becomes::AsBefore;
    /// Makes a build and tests it; about no workspace.
    Build = "build", Becomes::AsBefore;
    /// Makes what new workspaces begin with; about no workspace.
    Template = "template", Becomes::AsBefore;
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
