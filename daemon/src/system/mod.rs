//! The only door to the machine: files, nginx, supervisor, helpers, probes. Everything a step
//! changes goes through here, so that the engine can be tested on [`fake`] ones.

pub mod accounts;
pub mod credential;
pub mod exec;
pub mod fake;
pub mod fault;
pub mod fs;
pub mod helpers;
pub(crate) mod included;
pub mod launcher;
pub mod nginx;
pub mod probe;
pub(crate) mod procs;
pub mod session;
pub(crate) mod strict;
pub mod supervisor;
pub mod trusted;
pub(crate) mod turns;
pub mod units;

pub use fault::{Fault, FaultContext};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use crate::layout::Layout;

/// All that steps can reach.
#[derive(Clone)]
pub struct System {
    /// Where things are.
    pub layout: Arc<Layout>,
    /// How workspaces are reached and run on this machine.
    pub site: Arc<Site>,
    /// The web server in front of the workspaces.
    pub nginx: Arc<dyn nginx::Nginx>,
    /// What keeps the workspaces' processes running.
    pub supervisor: Arc<dyn supervisor::Supervisor>,
    /// This machine's accounts; `None` in a sandbox, where all is one user's.
    pub accounts: Option<Arc<dyn accounts::Accounts>>,
    /// How an identity's work becomes a unit of systemd's; `None` in a sandbox.
    pub units: Option<Arc<launcher::Units>>,
    /// Work done under other identities.
    pub helpers: Arc<dyn helpers::Launcher>,
    /// Looks at ports and pages.
    pub probe: Arc<dyn probe::Probe>,
    /// Commands that people run in workspaces.
    pub sessions: Arc<session::Sessions>,
}

/// How workspaces are reached and run on this machine.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where nginx listens for workspaces.
    pub listen: Vec<SocketAddr>,
    /// The port in URLs; 80 is left out.
    pub http_port: u16,
    /// The `cid-helper` program.
    pub helper: PathBuf,
}

impl Site {
    /// The URL of a host name.
    pub fn url(&self, host: &str) -> String {
        match self.http_port {
            80 => format!("http://{host}/"),
            port => format!("http://{host}:{port}/"),
        }
    }
}

/// What a removal came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The engine runs without it.
    Done,
    /// The file is gone, but the engine could not be told; says why. To be retried with `settle`.
    Owed(String),
}
