//! supervisord: one program group per workspace, controlled by XML-RPC over its Unix socket.

mod app_groups;
pub mod at_start;
mod changes;
mod group;
mod link;
pub(crate) mod orphans;
mod part;
pub mod process;
pub mod program;
mod real;
pub(crate) mod refusal;
pub(crate) mod rpc;
mod told;

pub use process::{Ended, How, Process, ProcessState};
pub use real::RealSupervisor;

use super::Effect;
use crate::domain::{ProcessType, UnitName};
use async_trait::async_trait;
use cid_protocol::fault::Fault;

/// cid's own part of supervisord: file name and content.
pub(crate) const PLUGIN: (&str, &str) = (
    "cid_supervisor.py",
    include_str!("../../../../packaging/supervisor/cid_supervisor.py"),
);

/// What keeps the workspaces' processes running.
#[async_trait]
pub trait Supervisor: Send + Sync {
    /// Installs a workspace's program file and starts its group, replacing a group of that name. Returns when
    /// supervisord has accepted it, not when the processes are up.
    ///
    /// # Errors
    /// supervisord cannot be reached or refuses; the file and the group are then gone again.
    async fn put(&self, unit: &UnitName, program: &str) -> Result<(), Fault>;

    /// Stops a workspace's processes and removes group and file. Works when supervisord is down: orphans are
    /// then stopped by process id. It is no error if there is nothing.
    ///
    /// # Errors
    /// The file cannot be removed.
    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault>;

    /// Stops and starts the processes of one group.
    ///
    /// # Errors
    /// supervisord cannot be reached or has no such group.
    async fn restart(&self, unit: &UnitName) -> Result<(), Fault>;

    /// Stops these processes of a group, which goes on with the others, and replaces its program file.
    ///
    /// # Errors
    /// supervisord cannot be reached, or a process does not stop.
    async fn hold(
        &self,
        unit: &UnitName,
        program: &str,
        processes: &[ProcessType],
    ) -> Result<(), Fault>;

    /// Starts these processes of a group, and replaces its program file. Those that run go on.
    ///
    /// # Errors
    /// supervisord cannot be reached, or has no such group.
    async fn release(
        &self,
        unit: &UnitName,
        program: &str,
        processes: &[ProcessType],
    ) -> Result<(), Fault>;

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

    /// The processes of one group; empty when supervisord has no group of that name.
    ///
    /// # Errors
    /// supervisord cannot be reached.
    async fn processes(&self, unit: &UnitName) -> Result<Vec<Process>, Fault>;

    /// All groups that supervisord runs, by name, including foreign ones.
    ///
    /// # Errors
    /// supervisord cannot be reached.
    async fn groups(&self) -> Result<Vec<(String, Vec<Process>)>, Fault>;

    /// Whether supervisord reports each change and can load a single file. A supervisord started by an
    /// earlier version of cid cannot: it is polled, and nothing is put or restarted.
    ///
    /// # Errors
    /// supervisord cannot be reached.
    async fn tells(&self) -> Result<bool, Fault>;

    /// Makes supervisord's groups agree with the program files: completes an [`Effect::Owed`].
    ///
    /// # Errors
    /// supervisord cannot be reached.
    async fn settle(&self) -> Result<(), Fault>;
}
