//! The daemon's life: started, asked to stop, killed, cleaned up after.

use super::Sandbox;
use crate::{
    process::{Process, end, processes},
    wait::wait_until,
};
use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const READING: Duration = Duration::from_secs(30);

impl Sandbox {
    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// It ends at once or does not answer; the message holds its log.
    pub fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_until_ready()
    }

    /// As [`Sandbox::start`], with further environment variables.
    ///
    /// # Errors
    /// As [`Sandbox::start`].
    pub fn start_with(&mut self, env: &[(&str, &str)]) -> Result<()> {
        self.spawn_program("cid", env)?;
        self.wait_until_ready()
    }

    /// Waits until the daemon that was started answers.
    ///
    /// # Errors
    /// It ends instead, or does not answer; the message holds its log.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        wait_until("the daemon to answer", START_LIMIT, || {
            let ended = self
                .daemon
                .as_mut()
                .and_then(|daemon| daemon.try_wait().ok()?);
            match ended {
                Some(status) => Some(Err(anyhow::anyhow!("the daemon ended with {status}"))),
                None => self.is_ready().then_some(Ok(())),
            }
        })
        .flatten()
        .with_context(|| {
            format!(
                "the sandbox did not start; the daemon's log:\n{}",
                self.log()
            )
        })
    }

    /// Starts the daemon without waiting for anything.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        self.spawn_program("cid", &[])
    }

    /// Starts `cid-crash`, the daemon that kills itself at a point of the engine's, or (`CID_CRASH_TRACE`)
    /// writes down the points it passes.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn_crashing(&mut self, env: (&str, &str)) -> Result<()> {
        self.spawn_program("cid-crash", &[env])
    }

    fn spawn_program(&mut self, program: &str, env: &[(&str, &str)]) -> Result<()> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log_path)?;
        let daemon = self
            .command(program)
            .envs(env.iter().copied())
            .arg("sandbox")
            .arg("--dir")
            .arg(&self.dir)
            .arg("--http-port")
            .arg(self.http_port.to_string())
            .args(self.https_option())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C at the demo's terminal is the demo's to handle, in its order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        self.daemon = Some(daemon);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.cictl_within(&["version"], Duration::from_secs(10))
            .is_ok_and(|output| output.status == 0)
    }

    /// The daemon's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.daemon
            .as_ref()
            .and_then(|daemon| daemon.id().try_into().ok())
    }

    /// Whether the daemon that was started still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid().and_then(Process::look).is_some()
    }

    /// What the daemon wrote to its output.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log_path).unwrap_or_default()).into_owned()
    }

    /// Lets the daemon read its files again, and waits until it has.
    ///
    /// # Errors
    /// It does not run, or does not say so.
    pub fn hup(&self) -> Result<()> {
        let ends = ["projects read again", "projects stay as they were"];
        let readings = || -> usize {
            let log = self.log();
            ends.iter().map(|end| log.matches(end).count()).sum()
        };
        let before = readings();
        self.signal(Signal::SIGHUP)?;
        wait_until("the projects to be read again", READING, || {
            (readings() > before).then_some(())
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// Kills the daemon as a crash would: nginx, supervisord and the apps go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_9(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("the daemon does not run")?;
        daemon.kill()?;
        daemon.wait()?;
        Ok(())
    }

    /// Stops the daemon and with it everything it started.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait_for_end()
    }

    /// Waits until the daemon has ended of its own accord.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        let daemon = self.daemon.as_mut().context("the daemon does not run")?;
        let ended = wait_until("the daemon to end", STOP_LIMIT, || {
            daemon.try_wait().transpose()
        })?;
        self.daemon = None;
        Ok(ended?)
    }

    /// Stops the daemon and starts it on the same folder.
    ///
    /// # Errors
    /// It does not stop with success, or does not start.
    pub fn restart(&mut self) -> Result<()> {
        let status = self.terminate()?;
        if !status.success() {
            bail!("the daemon ended with {status}; its log:\n{}", self.log());
        }
        self.start()
    }

    /// Stops whatever runs; what is left running by a killed daemon too.
    ///
    /// # Errors
    /// Something does not end.
    pub fn stop(&mut self) -> Result<()> {
        let stopped = match self.daemon {
            Some(_) => self.terminate().map(drop),
            None => Ok(()),
        };
        if stopped.is_err() {
            self.kill_9()?;
        }
        self.end_processes()?;
        stopped
    }

    /// supervisord first: it would start again what is ended before it.
    fn end_processes(&self) -> Result<()> {
        let patience = Duration::from_secs(15);
        let mut left = processes(&self.dir);
        left.sort_by_key(|process| process.name != "supervisord");
        for process in left {
            end(&process, patience)?;
        }
        processes(&self.dir)
            .iter()
            .try_for_each(|process| end(process, patience))
    }
}

fn open_folders(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    for entry in entries.flatten().filter(is_folder) {
        open_folders(&entry.path());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!(
                "the sandbox in {} did not stop: {error:#}",
                self.dir.display()
            );
        }
        if std::thread::panicking() {
            eprintln!(
                "--- log of the daemon in {}\n{}",
                self.dir.display(),
                self.log()
            );
        }
        // Nobody may write there, and what cannot be written to cannot be emptied.
        open_folders(&self.dir.join("state/packages"));
        open_folders(&self.dir.join("state/templates"));
        open_folders(&self.dir.join("state/builds"));
        if self.home.is_none() {
            // Beside a folder of the caller's nothing is left lying about.
            let _ = fs::remove_file(&self.log_path);
        }
    }
}
