//! The client library of cid: the daemon's interface in plain Rust types.
//!
//! Both the command line `cictl` and the web front `cid-web` speak to the daemon
//! through [`Client`]; neither of them sees a generated type.

mod advice;
mod client;
mod connect;
mod convert;
mod error;
mod exit;
mod model;
mod resume;

pub use client::{BuildOutput, Client, Delivery, Deploying};
pub use error::{Conflict, Error, Kind, LostWork, Result, Violation};
pub use exit::Exit;
pub use model::audit::{AuditLine, Decision};
pub use model::build::{Build, BuildState};
pub use model::job::{
    Event, Failure, Job, JobKind, JobState, Step, StepState, Waiting, WaitingFor, What,
};
pub use model::people::{EnabledFront, Link, Person, SignIn, SignedIn, Visit};
pub use model::project::{CheckItem, FollowUp, HookDelivery, Project, RemovedProject, Severity};
pub use model::stage::{ChangedCommit, Preview, ShownStage, Stage};
pub use model::system::{Finding, FindingKind, Unused, Version};
pub use model::workspace::{
    Created, DeleteOptions, Deletion, FailedDeployment, Health, LeftFile, LeftFiles, LogLine,
    LogOptions, LogPlace, Look, Process, ProcessState, RunInput, RunOutput, Standing, Terminal,
    TerminalSize, Visited, Workspace, WorkspaceState,
};
pub use resume::persistently;

/// Where the daemon listens on a host.
pub const DEFAULT_SOCKET: &str = "/run/cid/cid.sock";

/// What a streaming call gives, item by item; nothing worth reading follows an error.
pub type Stream<T> = futures::stream::BoxStream<'static, Result<T>>;
