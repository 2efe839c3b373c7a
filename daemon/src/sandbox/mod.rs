//! The sandbox's own nginx and supervisord: started, adopted, kept up and stopped here. On an
//! installed host systemd does all this.

mod config;
mod front;
mod nginx;
mod preflight;
mod supervisord;
mod watch;

pub use front::socket as front_socket;
pub use preflight::{check_paths, listen_addresses};

use crate::{config::OwnNginx, layout::Layout, system::nginx::NginxPaths};
use cid_protocol::fault::Fault;
use std::{path::Path, sync::Arc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use watch::{Engine, Start};

/// The running engines of a sandbox. They outlive this value, and the daemon: only
/// [`Engines::stop`] stops them.
pub struct Engines {
    nginx: Arc<nginx::Nginx>,
    supervisord: Arc<supervisord::Supervisord>,
    watchers: TaskTracker,
    stopping: CancellationToken,
}

impl Engines {
    /// Starts nginx and supervisord, or takes over those that an earlier daemon left running, and
    /// keeps them up. nginx listens on `http_port` of the loopback; `bin_dir` is where the front's
    /// program is. Inside a tokio runtime.
    ///
    /// # Errors
    /// They are not installed, the port is taken, a configuration file of the operator's is broken,
    /// the layout's paths do not fit into configuration files or sockets.
    pub async fn start(
        layout: &Layout,
        http_port: u16,
        bin_dir: &Path,
        settings: &OwnNginx,
    ) -> Result<Self, Fault> {
        preflight::make_dirs(layout)?;
        let nginx = Arc::new(nginx::Nginx::new(layout, http_port, settings)?);
        let supervisord = Arc::new(supervisord::Supervisord::new(layout, bin_dir)?);
        let web = nginx.start().await?;
        if let Err(fault) = supervisord.start().await {
            if web == Start::Fresh {
                // As it was before. The fault that counts is the first.
                let _ = nginx.stop().await;
            }
            return Err(fault);
        }
        front::wait_until_up(layout, bin_dir).await;
        let engines = Self {
            nginx,
            supervisord,
            watchers: TaskTracker::new(),
            stopping: CancellationToken::new(),
        };
        engines.watchers.spawn(watch::keep_up(
            Arc::clone(&engines.nginx),
            engines.stopping.clone(),
        ));
        engines.watchers.spawn(watch::keep_up(
            Arc::clone(&engines.supervisord),
            engines.stopping.clone(),
        ));
        engines.watchers.close();
        Ok(engines)
    }

    /// Where this nginx and its files are.
    pub fn nginx_paths(&self) -> NginxPaths {
        self.nginx.paths().clone()
    }

    /// Leaves the engines running and only stops keeping them up.
    pub async fn release(&self) {
        self.stopping.cancel();
        self.watchers.wait().await;
    }

    /// Stops both, and everything supervisord started; returns when all of it is gone.
    ///
    /// # Errors
    /// Something lives on even after KILL.
    pub async fn stop(&self) -> Result<(), Fault> {
        self.release().await;
        let (web, apps) = tokio::join!(self.nginx.stop(), self.supervisord.stop());
        web.and(apps)
    }
}
