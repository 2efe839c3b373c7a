//! The only door to the machine: files, nginx, supervisor, helpers, probes. Everything a step
//! changes goes through here, so that the engine can be tested on [`fake`] ones.

pub mod accounts;
pub mod credential;
pub mod exec;
pub mod fake;
pub mod git_servers;
pub mod helpers;
pub(crate) mod included;
pub mod inside;
pub mod launcher;
pub(crate) mod listeners;
pub mod mail;
pub mod nginx;
mod page;
pub mod probe;
pub(crate) mod procs;
pub mod queue;
pub mod session;
pub mod sessions;
pub mod standing;
pub(crate) mod strict;
pub mod supervisor;
pub mod templates;
pub mod tls;
pub(crate) mod turns;
pub mod units;
pub mod unwritable;
pub(crate) mod view;
pub mod visit;
pub mod visits;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use crate::{
    config::{HstsSeconds, Tls},
    layout::Layout,
};
use nginx::vhost::VhostTls;

/// All that steps can reach.
#[derive(Clone)]
pub struct System {
    /// Where things are.
    pub layout: Arc<Layout>,
    /// How workspaces are reached and run on this machine.
    pub site: Arc<Site>,
    /// The web server in front of the workspaces.
    pub nginx: Arc<dyn nginx::Nginx>,
    /// Projects' certificates, as nginx reads them.
    pub certificates: Arc<tls::Certificates>,
    /// Keeps the workspaces' processes running.
    pub supervisor: Arc<dyn supervisor::Supervisor>,
    /// What only a host has; `None` in a sandbox, where everything runs as one user.
    pub host: Option<HostParts>,
    /// Work done under other identities.
    pub helpers: Arc<dyn helpers::Launcher>,
    /// Queues for limited resources.
    pub queues: Arc<queue::Queues>,
    /// Looks at ports and pages.
    pub probe: Arc<dyn probe::Probe>,
    /// Commands that people run in workspaces.
    pub sessions: Arc<sessions::Sessions>,
    /// Templates that are to be made.
    pub templates: Arc<templates::Templates>,
}

impl System {
    /// Whether this is a host, and not a sandbox.
    pub fn is_host(&self) -> bool {
        self.host.is_some()
    }

    /// The accounts of a host.
    pub fn accounts(&self) -> Option<&dyn accounts::Accounts> {
        self.host.as_ref().map(|host| host.accounts.as_ref())
    }
}

/// What only a host has.
#[derive(Clone)]
pub struct HostParts {
    /// The machine's accounts.
    pub accounts: Arc<dyn accounts::Accounts>,
    /// How an identity's work becomes a unit of systemd's.
    pub units: Arc<launcher::Units>,
}

/// How workspaces are reached and run on this machine.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where nginx listens for workspaces.
    pub listen: Vec<SocketAddr>,
    /// The port in URLs; 80 is left out.
    pub http_port: u16,
    /// Where nginx listens for workspaces of projects with a certificate.
    pub listen_https: Vec<SocketAddr>,
    /// The port in their URLs; 443 is left out.
    pub https_port: u16,
    /// Where the web front listens for nginx.
    pub front: PathBuf,
    /// The `cid-helper` program.
    pub helper: PathBuf,
    /// The same for the workspaces' apps; on a host another copy of it, as apps go on when the package
    /// is removed.
    pub app_helper: PathBuf,
}

impl Site {
    /// How a site answers over HTTPS with this certificate.
    pub fn tls(&self, certificate: PathBuf, tls: Option<&Tls>) -> VhostTls {
        VhostTls {
            certificate,
            listen: self.listen_https.clone(),
            port: self.https_port,
            hsts: tls.and_then(|tls| tls.hsts).map(HstsSeconds::get),
        }
    }

    /// The URL of a host name, by HTTPS with `tls`.
    pub fn url(&self, host: &str, tls: bool) -> String {
        let (scheme, port, usual) = match tls {
            true => ("https", self.https_port, 443),
            false => ("http", self.http_port, 80),
        };
        match port == usual {
            true => format!("{scheme}://{host}/"),
            false => format!("{scheme}://{host}:{port}/"),
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
