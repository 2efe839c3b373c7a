//! The sandbox's own supervisord, and through it the apps and the front.

use super::{
    config, front, preflight,
    watch::{self, Start},
};
use crate::{
    layout::Layout,
    system::{
        exec,
        included::Included,
        procs::{self, ProcessId},
        supervisor::{
            PLUGIN,
            orphans::{self, Orphans},
            refusal,
            rpc::{Rpc, RpcError},
        },
    },
};
use async_trait::async_trait;
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use dxr::Value;
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    process::Child,
    time::{Instant, sleep},
};

/// 1,000 program files take 2 s.
const START_LIMIT: Duration = Duration::from_secs(20);
/// An adopted supervisord that is silent for this long is unusable.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// supervisord gives each app 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// The sandbox's own supervisord.
pub(super) struct Supervisord {
    layout: Layout,
    program: PathBuf,
    config_path: PathBuf,
    config: String,
    /// A copy of the configuration that the running supervisord has taken up.
    taken: PathBuf,
    pid_file: PathBuf,
    /// What it says before it has a log.
    output_log: PathBuf,
    rpc: Rpc,
    running: Mutex<Option<ProcessId>>,
}

impl Supervisord {
    pub(super) fn new(layout: &Layout, bin_dir: &Path) -> Result<Self, Fault> {
        let pid_file = layout.run_dir.join("supervisord.pid");
        Ok(Self {
            program: preflight::installed("supervisord")?,
            config_path: layout.state_dir.join("supervisor/supervisord.conf"),
            taken: layout.state_dir.join("supervisor/taken.conf"),
            config: config::supervisord(layout, bin_dir, &pid_file)?,
            pid_file,
            output_log: layout.log_dir.join("supervisord.out"),
            rpc: Rpc::new(layout.supervisor_socket()),
            running: Mutex::default(),
            layout: layout.clone(),
        })
    }

    /// Stops supervisord and all it runs.
    pub(super) async fn stop(&self) -> Result<(), Fault> {
        if let Some(id) = self.find() {
            self.shut_down(id).await;
            // KILL at once: on TERM it would go on waiting for its apps.
            procs::end(&[id], &[], Duration::ZERO).await;
        }
        self.end_orphans().await?;
        for file in [
            &self.pid_file,
            &self.layout.supervisor_socket(),
            &self.layout.supervisor_events(),
            &front::socket(&self.layout),
        ] {
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// Asks it to stop all and end. One that does not answer is left as it is.
    async fn shut_down(&self, id: ProcessId) {
        self.rpc.wait_for_exec(&BTreeSet::new()).await;
        // On its own it stops one group after the other.
        drop(self.rpc.call::<Value>("stopAllProcesses", false).await);
        if self.rpc.call::<bool>("shutdown", ()).await.is_err() {
            return;
        }
        let started = Instant::now();
        while procs::is_alive(id) && started.elapsed() < STOP_LIMIT {
            // Any call makes it look after its processes; left alone it does so once a second.
            drop(self.rpc.call::<Value>("getState", ()).await);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A running supervisord with our configuration.
    fn find(&self) -> Option<ProcessId> {
        let config = self.config_path.to_string_lossy();
        let is_ours = |pid: u32| {
            let args = procs::command_line(pid);
            args.iter().take(2).any(|arg| arg.ends_with("/supervisord"))
                && args.iter().any(|arg| *arg == config)
        };
        // Its own file is right but where somebody has removed it.
        let by_file = fs::read_optional(&self.pid_file).ok().flatten();
        let by_file = by_file.and_then(|pid| procs::stat(pid.trim().parse().ok()?));
        if let Some(stat) = by_file.filter(|stat| !stat.zombie && is_ours(stat.id.pid)) {
            return Some(stat.id);
        }
        let ours: Vec<_> = procs::all()
            .into_iter()
            .filter(|stat| is_ours(stat.id.pid))
            .collect();
        // A child that is about to become an app looks like its parent for a moment.
        let is_child = |parent: u32| ours.iter().any(|other| other.id.pid == parent);
        ours.iter()
            .find(|stat| !is_child(stat.parent))
            .map(|stat| stat.id)
    }

    /// Takes over a running supervisord; `false` when it is of no use.
    async fn adopt(&self, id: ProcessId) -> Result<bool, Fault> {
        if let Err(error) = self.wait_for_answer(id, ANSWER_LIMIT).await {
            tracing::warn!(pid = id.pid, %error, "the running supervisord is replaced");
            procs::end(&[id], &[], Duration::ZERO).await;
            return Ok(false);
        }
        self.write_files()?;
        // It reads all program files for that, which takes seconds where there are many.
        let is_taken = fs::read_optional(&self.taken)?.as_ref() == Some(&self.config);
        if front::refresh(&self.rpc, !is_taken).await {
            self.note_taken()?;
        }
        Ok(true)
    }

    /// Notes with which configuration the running supervisord runs.
    fn note_taken(&self) -> Result<(), Fault> {
        fs::write_changed(&self.taken, self.config.as_bytes(), 0o644)
    }

    /// What it reads at its start.
    fn write_files(&self) -> Result<(), Fault> {
        let (name, plugin) = PLUGIN;
        let dir = self.layout.supervisor_plugin_dir();
        fs::make_dir(&dir, 0o755)?;
        fs::write_changed(&dir.join(name), plugin.as_bytes(), 0o644)?;
        fs::write_changed(&self.config_path, self.config.as_bytes(), 0o644)
    }

    async fn start_fresh(&self) -> Result<ProcessId, Fault> {
        // Those that a killed supervisord left hold the ports that the same apps need again.
        self.end_orphans().await?;
        fs::remove_file(&self.layout.supervisor_socket())?;
        self.write_files()?;
        let plugin_dir = self.layout.supervisor_plugin_dir();
        loop {
            let env = [
                ("CID_RUN_DIR", self.layout.run_dir.as_os_str()),
                ("PYTHONPATH", plugin_dir.as_os_str()),
                ("PYTHONDONTWRITEBYTECODE", OsStr::new("1")),
            ];
            let args = [
                OsStr::new("-n"),
                OsStr::new("-c"),
                self.config_path.as_os_str(),
            ];
            let mut child = exec::spawn_detached(&self.program, args, &env, &self.output_log)?;
            let id = child.id().and_then(procs::stat).map(|stat| stat.id);
            let Some(id) = id else {
                return Err(Fault::new("cannot start supervisord: it ended at once"));
            };
            match self.wait_for_answer(id, START_LIMIT).await {
                Ok(()) => {
                    self.note_taken()?;
                    return Ok(id);
                }
                Err(error) => self.quarantine_or_fail(&mut child, id, &error).await?,
            }
        }
    }

    /// A program file of ours that it cannot read is moved aside; anything else is a fault.
    async fn quarantine_or_fail(
        &self,
        child: &mut Child,
        id: ProcessId,
        error: &RpcError,
    ) -> Result<(), Fault> {
        if procs::is_alive(id) {
            procs::end(&[id], &[], Duration::ZERO).await;
            self.end_orphans().await?;
            return Err(error
                .fault("start supervisord")
                .hint(format!("look into {}", self.layout.log_dir.display())));
        }
        drop(child.try_wait());
        let said = fs::read_optional(&self.output_log)?.unwrap_or_default();
        let said = said
            .rsplit_once("Error: ")
            .map_or(said.trim(), |(_, error)| error);
        let refusal = refusal::parse(said);
        match &refusal.file {
            Some(file) if file.starts_with(self.layout.program_dir()) => {
                preflight::quarantine(file, &refusal.message)
            }
            _ => Err(
                Fault::new(format!("cannot start supervisord: {}", refusal.message))
                    .hint(format!("look into {}", self.layout.log_dir.display())),
            ),
        }
    }

    async fn wait_for_answer(&self, id: ProcessId, limit: Duration) -> Result<(), RpcError> {
        let started = Instant::now();
        loop {
            match self.rpc.call::<Value>("getState", ()).await {
                Ok(_) => return Ok(()),
                Err(error) if !procs::is_alive(id) || started.elapsed() > limit => {
                    return Err(error);
                }
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn end_orphans(&self) -> Result<(), Fault> {
        if let Some(id) = Orphans::of_all(&self.layout).end().await.first() {
            return Err(Fault::new(format!(
                "cannot end process {} of a workspace: it takes no signal",
                id.pid
            )));
        }
        orphans::forget_all(&self.layout);
        Ok(())
    }

    /// One log folder that is missing keeps supervisord from starting at all.
    fn make_log_dirs(&self) -> Result<(), Fault> {
        for unit in Included::new(self.layout.program_dir()).list()? {
            fs::make_dir(&self.layout.app_log_dir(&unit.workspace()), 0o755)?;
        }
        Ok(())
    }
}

#[async_trait]
impl watch::Engine for Supervisord {
    const NAME: &'static str = "supervisord";

    fn is_up(&self) -> bool {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(procs::is_alive)
    }

    async fn start(&self) -> Result<Start, Fault> {
        self.make_log_dirs()?;
        let (id, start) = match self.find() {
            Some(id) if self.adopt(id).await? => (id, Start::Adopted),
            _ => (self.start_fresh().await?, Start::Fresh),
        };
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Ok(start)
    }
}
