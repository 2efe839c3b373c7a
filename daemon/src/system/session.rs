//! Commands that somebody runs in a workspace, with their streams open.

use super::{Fault, FaultContext, units::Unit};
use crate::domain::UnitName;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::HashMap,
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The helper gets so long to end the command and all that it started.
const GRACE: Duration = Duration::from_secs(5);

/// The commands that people run in workspaces right now, so that they end with the workspace.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<UnitName, CancellationToken>>);

impl Sessions {
    /// Fired when the workspace's sessions are to end.
    pub fn of(&self, unit: &UnitName) -> CancellationToken {
        self.lock().entry(unit.clone()).or_default().clone()
    }

    /// Ends a workspace's sessions.
    pub fn end(&self, unit: &UnitName) {
        if let Some(sessions) = self.lock().remove(unit) {
            sessions.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UnitName, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running command with its streams.
pub struct Session {
    /// The helper that runs it.
    pub child: Child,
    /// Its standard input.
    pub stdin: ChildStdin,
    /// Its standard output.
    pub stdout: ChildStdout,
    /// Its standard error.
    pub stderr: ChildStderr,
}

/// Starts a command as `cid-helper run` does: with the workspace's environment, in its folder. On a
/// host it runs in a `unit` of the workspace's user, which is handed the run file.
///
/// # Errors
/// The helper cannot be started.
#[expect(clippy::disallowed_methods, reason = "one of the few doors")]
pub fn start(
    helper: &Path,
    run_file: &Path,
    unit: Option<Unit>,
    command: &[String],
) -> Result<Session, Fault> {
    let mut words: Vec<OsString> = Vec::new();
    let mut handed = run_file.as_os_str().to_owned();
    if let Some(unit) = unit {
        let mut credential = OsString::from("run-file:");
        credential.push(run_file);
        words = unit.with("LoadCredential", credential).command();
        handed = "-".into();
    }
    words.extend([helper.into(), "run".into(), handed, "--".into()]);
    words.extend(command.iter().map(Into::into));
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
    let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
        return Err(Fault::new("cannot open the command's streams"));
    };
    Ok(Session {
        child,
        stdin,
        stdout,
        stderr,
    })
}

/// Ends a command: the helper is asked to, and killed when it does not.
///
/// # Errors
/// It cannot be waited for.
pub async fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if let Ok(status) = timeout(GRACE, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
}

/// As a shell says it: the status, or 128 + the signal.
pub fn exit_status(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
