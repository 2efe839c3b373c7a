//! A command that somebody runs in a workspace, with its streams open.

use super::{launcher::stop_unit, units::Unit};
use cid_protocol::{
    fault::{Fault, FaultContext},
    frame::{Frame, Size, Start},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::{Instant, timeout},
};

/// The helper gets so long to end the command and all that it started.
const GRACE: Duration = Duration::from_secs(5);
/// A unit that is just being made may not be there yet when it is told to end: it is told again.
const TELL_AGAIN: Duration = Duration::from_millis(200);
/// No command takes longer to end than this.
pub const END_LIMIT: Duration = Duration::from_secs(20);

/// A running command with its streams.
pub struct Session {
    /// What runs it.
    pub running: Running,
    /// What it is given to read.
    pub input: Input,
    /// Its standard output.
    pub stdout: ChildStdout,
    /// Its standard error.
    pub stderr: ChildStderr,
}

/// What a command is given to read.
pub struct Input {
    pipe: ChildStdin,
    /// Its terminal is the helper's, which must tell apart what comes.
    has_terminal: bool,
}

impl Input {
    /// Says what to run, which comes first.
    ///
    /// # Errors
    /// The helper has ended.
    pub async fn begin(&mut self, start: Start) -> io::Result<()> {
        self.frame(Frame::Start(start)).await
    }

    /// Gives it these bytes.
    ///
    /// # Errors
    /// Nobody reads them any more.
    pub async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        match self.has_terminal {
            true => self.frame(Frame::Input(bytes)).await,
            false => self.pipe.write_all(&bytes).await,
        }
    }

    /// Tells how large its terminal is now; without one that means nothing.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn resize(&mut self, size: Size) -> io::Result<()> {
        match self.has_terminal {
            true => self.frame(Frame::Size(size)).await,
            false => Ok(()),
        }
    }

    async fn frame(&mut self, frame: Frame) -> io::Result<()> {
        self.pipe.write_all(&frame.encode()?).await
    }
}

/// What runs a command.
pub struct Running {
    /// The helper; on a host, a process that stands for it here: it ends with the helper, but not the
    /// reverse.
    child: Child,
    /// The unit that the helper and the command are in, on a host.
    unit: Option<String>,
}

/// Starts `cid-helper run`, which has still to be told what to run: with the workspace's environment, in
/// its folder. On a host it runs in a `unit` of the workspace's user, which is handed the run file.
///
/// # Errors
/// The helper cannot be started.
#[expect(clippy::disallowed_methods, reason = "one of the few doors")]
pub fn start(
    helper: &Path,
    run_file: &Path,
    unit: Option<Unit>,
    has_terminal: bool,
) -> Result<Session, Fault> {
    let arguments = |run_file: OsString| vec!["run".into(), run_file];
    let name = unit.as_ref().and_then(Unit::name).map(str::to_owned);
    let words = match unit {
        Some(unit) => {
            let mut credential = OsString::from("run-file:");
            credential.push(run_file);
            let unit = unit.with("LoadCredential", credential);
            unit.running(helper, arguments("-".into()))
        }
        None => [vec![helper.into()], arguments(run_file.into())].concat(),
    };
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .cannot(format!("start {}", helper.display()))?;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(pipe), Some(stdout), Some(stderr)) = streams else {
        return Err(Fault::new("cannot open the command's streams"));
    };
    Ok(Session {
        running: Running { child, unit: name },
        input: Input { pipe, has_terminal },
        stdout,
        stderr,
    })
}

impl Running {
    /// Waits for the command's end.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        // The process that stands for the unit was killed, but the unit was not.
        if let (Some(unit), Some(_)) = (&self.unit, status.signal()) {
            stop(unit).await;
        }
        Ok(status)
    }

    /// Ends the command and all that it started.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn end(&mut self) -> io::Result<ExitStatus> {
        match self.unit.clone() {
            Some(unit) => self.end_unit(&unit).await,
            None => self.end_helper().await,
        }
    }

    async fn end_helper(&mut self) -> io::Result<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if let Ok(status) = timeout(GRACE, self.child.wait()).await {
            return status;
        }
        self.child.kill().await?;
        self.child.wait().await
    }

    /// The process that stands for the unit waits for the unit's end; ending that process would not end the
    /// unit.
    async fn end_unit(&mut self, unit: &str) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline {
            stop(unit).await;
            if let Ok(status) = timeout(TELL_AGAIN, self.child.wait()).await {
                return status;
            }
        }
        self.child.kill().await?;
        stop(unit).await;
        self.child.wait().await
    }
}

async fn stop(unit: &str) {
    if let Err(fault) = stop_unit(unit, GRACE).await {
        tracing::warn!("{fault}");
    }
}

/// As a shell says it: the status, or 128 + the signal.
pub fn exit_status(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
