//! nginx: one file per project, one vhost for each workspace on a port and each stage, one coordinator that tests and
//! reloads for all.

pub(crate) mod aside;
pub mod at_start;
mod certificate;
pub(crate) mod check;
mod coordinator;
mod files;
mod guard;
pub(crate) mod master;
pub mod project_site;
pub mod vhost;
pub(crate) mod worker;

pub use coordinator::{NginxPaths, RealNginx};

use super::Effect;
use crate::domain::UnitName;
use async_trait::async_trait;
use cid_protocol::fault::Fault;
use std::path::Path;

/// The web server in front of the workspaces.
#[async_trait]
pub trait Nginx: Send + Sync {
    /// Puts a workspace's vhost in place, replacing what was there, and returns when new
    /// connections are answered by it. Changes of concurrent callers are tested and reloaded
    /// together.
    ///
    /// # Errors
    /// The configuration was broken before (names the foreign file), this vhost breaks it, or
    /// nginx cannot be reloaded. The file is then as it was before.
    async fn put(&self, unit: &UnitName, vhost: &str) -> Result<(), Fault>;

    /// Puts back the vhost that was there before; also when nginx's configuration is broken by somebody else or
    /// nginx is down.
    ///
    /// # Errors
    /// The file cannot be written.
    async fn put_back(&self, unit: &UnitName, vhost: &str) -> Result<Effect, Fault>;

    /// Takes a vhost away; also when nginx's configuration is broken by somebody else or nginx is
    /// down. No vhost is no error.
    ///
    /// # Errors
    /// The file cannot be removed.
    async fn remove(&self, unit: &UnitName) -> Result<Effect, Fault>;

    /// The vhost as it stands on disk.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault>;

    /// All vhosts on disk, sorted.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn list(&self) -> Result<Vec<UnitName>, Fault>;

    /// Tests the configuration and reloads: what an [`Effect::Owed`] asks for.
    ///
    /// # Errors
    /// As [`Nginx::put`].
    async fn settle(&self) -> Result<(), Fault>;

    /// Tests the configuration as it stands and changes nothing.
    ///
    /// # Errors
    /// It is broken, by whom and where.
    async fn check(&self) -> Result<(), Fault>;

    /// All that nginx reads, each file after the one that includes it, but for the workspaces' vhosts. What
    /// the daemon may not read is left out.
    ///
    /// # Errors
    /// The main configuration file cannot be read.
    async fn configuration(&self) -> Result<String, Fault>;

    /// Whether nginx takes this file for a certificate with its key. Nothing of the workspaces' is
    /// part of the question. The file's folder is for root alone and may be written.
    ///
    /// # Errors
    /// It does not, and why.
    async fn try_certificate(&self, file: &Path) -> Result<(), Fault>;
}
