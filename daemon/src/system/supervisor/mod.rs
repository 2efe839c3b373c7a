//! supervisord: one program group per workspace, spoken to by XML-RPC over its Unix socket.

mod app_groups;
pub mod at_start;
mod changes;
mod group;
pub(crate) mod loader;
pub(crate) mod orphans;
pub mod program;
mod real;
pub(crate) mod rpc;

pub use real::RealSupervisor;

use super::{Effect, Fault};
use crate::domain::UnitName;
use async_trait::async_trait;

/// A process of a workspace, as supervisord sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process type, e.g. `web`.
    pub name: String,
    /// Where it stands.
    pub state: ProcessState,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// supervisord's words, e.g. `Exited too quickly (process log may have details)`.
    pub description: String,
}

/// supervisord's process states, with its own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// Stopped on request.
    Stopped,
    /// Started less than `startsecs` ago.
    Starting,
    /// Runs.
    Running,
    /// Exited too soon, will be started again.
    Backoff,
    /// Being stopped.
    Stopping,
    /// Ended on its own.
    Exited,
    /// Exited too soon too often; given up.
    Fatal,
    /// supervisord does not know.
    Unknown,
}

/// What keeps the workspaces' processes running.
#[async_trait]
pub trait Supervisor: Send + Sync {
    /// Puts a workspace's program file in place and has supervisord read it, both in the background:
    /// supervisord reads all files whenever one is new, which takes the longer the more there are. A
    /// [`Supervisor::put`] of the same text then only starts the group, and tells what was wrong
    /// with the file. Starts nothing itself.
    async fn announce(&self, unit: &UnitName, program: &str);

    /// Puts a workspace's program file in place and starts its group, replacing a group of that
    /// name. Returns when supervisord has taken it, not when the processes are up.
    ///
    /// # Errors
    /// supervisord cannot be reached or refuses; the file and the group are then gone again.
    async fn put(&self, unit: &UnitName, program: &str) -> Result<(), Fault>;

    /// Stops a workspace's processes, removes group and file; also when supervisord is down (its
    /// orphans are then stopped by process id). Nothing there is no error.
    ///
    /// # Errors
    /// The file cannot be removed.
    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault>;

    /// Stops and starts the processes of one group.
    ///
    /// # Errors
    /// supervisord cannot be reached or has no such group.
    async fn restart(&self, unit: &UnitName) -> Result<(), Fault>;

    /// The program file as it stands on disk.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault>;

    /// All program files on disk, sorted.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn list(&self) -> Result<Vec<UnitName>, Fault>;

    /// The processes of one group; empty when supervisord has none of that name.
    ///
    /// # Errors
    /// supervisord cannot be reached.
    async fn processes(&self, unit: &UnitName) -> Result<Vec<Process>, Fault>;

    /// All groups supervisord runs, by group name, foreign ones included.
    ///
    /// # Errors
    /// supervisord cannot be reached.
    async fn groups(&self) -> Result<Vec<(String, Vec<Process>)>, Fault>;

    /// Makes supervisord's groups agree with the program files: what an [`Effect::Owed`] asks for.
    ///
    /// # Errors
    /// supervisord cannot be reached.
    async fn settle(&self) -> Result<(), Fault>;
}
