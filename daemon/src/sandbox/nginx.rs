//! The sandbox's own nginx.

use super::{
    config, preflight,
    watch::{self, Start},
};
use crate::{
    config::OwnNginx,
    layout::Layout,
    system::{
        exec,
        included::{Objection, Tester},
        nginx::{NginxPaths, master},
        procs::{self, ProcessId},
    },
};
use async_trait::async_trait;
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use nix::sys::signal::Signal;
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const START_LIMIT: Duration = Duration::from_secs(30);
/// Requests that are being answered have this long when nginx is stopped.
const QUIT_LIMIT: Duration = Duration::from_secs(2);

/// The sandbox's own nginx.
pub(super) struct Nginx {
    paths: NginxPaths,
    config: String,
    http_port: u16,
    running: Mutex<Option<ProcessId>>,
}

impl Nginx {
    pub(super) fn new(layout: &Layout, http_port: u16, settings: &OwnNginx) -> Result<Self, Fault> {
        let prefix = layout.state_dir.join("nginx");
        let paths = NginxPaths {
            runner: None,
            program: preflight::installed("nginx")?,
            config: prefix.join("nginx.conf"),
            pid_file: layout.run_dir.join("nginx.pid"),
            error_log: layout.log_dir.join("nginx-error.log"),
            vhost_dir: layout.vhost_dir(),
            start_hint: "cid starts it again within seconds; see its log when it does not",
            prefix,
        };
        let config = config::nginx(layout, &paths, http_port, settings)?;
        Ok(Self {
            paths,
            config,
            http_port,
            running: Mutex::default(),
        })
    }

    pub(super) fn paths(&self) -> &NginxPaths {
        &self.paths
    }

    /// Stops nginx: requests are answered for a moment longer, then it ends.
    pub(super) async fn stop(&self) -> Result<(), Fault> {
        if let Some(master) = self.find() {
            procs::send(master, Signal::SIGQUIT);
            let started = Instant::now();
            while procs::is_alive(master) && started.elapsed() < QUIT_LIMIT {
                sleep(Duration::from_millis(20)).await;
            }
            procs::end(&[master], &[], Duration::from_secs(2)).await;
        }
        self.end_stray_workers().await?;
        fs::remove_file(&self.paths.pid_file)?;
        Ok(())
    }

    /// A running master with our configuration, whether or not the pid file is right.
    fn find(&self) -> Option<ProcessId> {
        let config = self.paths.config.to_string_lossy();
        let is_ours = |pid: u32| {
            let title = procs::command_line(pid).join(" ");
            title.starts_with("nginx: master process")
                && title.split(' ').any(|word| word == config)
        };
        let by_file = master::running(&self.paths.pid_file).filter(|id| is_ours(id.pid));
        by_file.or_else(|| {
            procs::all()
                .into_iter()
                .find(|stat| is_ours(stat.id.pid))
                .map(|stat| stat.id)
        })
    }

    /// Takes over a running master; gives it our configuration if that has changed.
    async fn adopt(&self, master: ProcessId) -> Result<(), Fault> {
        fs::write_changed(
            &self.paths.pid_file,
            format!("{}\n", master.pid).as_bytes(),
            0o644,
        )?;
        let previous = fs::read_optional(&self.paths.config)?;
        if previous.as_deref() == Some(&self.config) {
            return Ok(());
        }
        fs::write_atomic(&self.paths.config, self.config.as_bytes(), 0o644)?;
        if let Err(objection) = self.paths.test().await {
            // It runs on with what it has loaded; the next change of a vhost reports it again.
            tracing::warn!(fault = %self.fault(objection), "the running nginx keeps its old configuration");
            return Ok(());
        }
        master::reload(&self.paths).await
    }

    async fn start_fresh(&self) -> Result<(), Fault> {
        self.end_stray_workers().await?;
        fs::remove_file(&self.paths.pid_file)?;
        preflight::port_is_ours(self.http_port)?;
        fs::write_changed(&self.paths.config, self.config.as_bytes(), 0o644)?;
        self.test_or_quarantine().await?;
        let args = [
            Path::new("-c"),
            &self.paths.config,
            Path::new("-p"),
            &self.paths.prefix,
        ];
        let output = exec::output(&self.paths.program, args, START_LIMIT).await?;
        if output.status != Some(0) {
            return Err(Fault::new(format!(
                "cannot start nginx: {}",
                output.stderr.trim()
            )));
        }
        let started = Instant::now();
        while master::running(&self.paths.pid_file).is_none() {
            if started.elapsed() > START_LIMIT {
                return Err(
                    Fault::new("cannot start nginx: it has written no process id")
                        .hint(format!("look into {}", self.paths.error_log.display())),
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// A vhost of ours that is broken is set aside, a file of the operator's is theirs to mend.
    async fn test_or_quarantine(&self) -> Result<(), Fault> {
        loop {
            let refusal = match self.paths.test().await {
                Ok(()) => return Ok(()),
                Err(Objection::Failed(fault)) => return Err(fault),
                Err(Objection::Refused(refusal)) => refusal,
            };
            if !self.paths.set_aside(&refusal).await? {
                return Err(self.paths.foreign(&refusal));
            }
        }
    }

    fn fault(&self, objection: Objection) -> Fault {
        match objection {
            Objection::Failed(fault) => fault,
            Objection::Refused(refusal) => self.paths.foreign(&refusal),
        }
    }

    /// Workers outlive a master that was killed, and hold the port. A worker is ours if it writes
    /// to our log.
    async fn end_stray_workers(&self) -> Result<(), Fault> {
        let log = self.paths.error_log.to_string_lossy();
        let is_ours = |pid: u32| {
            procs::command_line(pid)
                .first()
                .is_some_and(|title| title.starts_with("nginx: "))
                && procs::open_files(pid).iter().any(|file| *file == log)
        };
        let strays: Vec<_> = procs::all()
            .into_iter()
            .map(|stat| stat.id)
            .filter(|id| is_ours(id.pid))
            .collect();
        match procs::end(&strays, &[], Duration::from_millis(500))
            .await
            .first()
        {
            Some(id) => Err(Fault::new(format!(
                "cannot end the nginx worker {}: it takes no signal",
                id.pid
            ))),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl watch::Engine for Nginx {
    const NAME: &'static str = "nginx";

    fn is_up(&self) -> bool {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(procs::is_alive)
    }

    async fn start(&self) -> Result<Start, Fault> {
        let start = match self.find() {
            Some(master) => self.adopt(master).await.map(|()| Start::Adopted)?,
            None => self.start_fresh().await.map(|()| Start::Fresh)?,
        };
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) =
            master::running(&self.paths.pid_file);
        Ok(start)
    }
}
