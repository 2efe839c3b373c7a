//! Names and values that cannot hold anything bad; no I/O.

pub mod email;
pub mod name;
pub mod process;
pub mod workspace;

pub use email::{Email, EmailError};
pub use name::{Name, ProjectName, UnitName};
pub use process::ProcessType;
pub use workspace::{JobKind, JobState, Workspace, WorkspaceState};
