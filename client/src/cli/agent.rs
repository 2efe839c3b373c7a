//! Asking a person for a password: polkit's own agent for terminals.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{self, IsTerminal as _, Read as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const PROGRAM: &str = "pkttyagent";
/// It is ready within so long, or the daemon's answer says that nobody could be asked.
const LIMIT: Duration = Duration::from_secs(3);

/// `pkttyagent` for this process, until it is dropped.
#[derive(Debug)]
pub(super) struct Agent(Child);

impl Agent {
    /// Starts one and waits until polkit knows of it. `None` without a terminal or without the
    /// program: the desktop may have an agent of its own.
    pub(super) fn start() -> Option<Self> {
        if !io::stdin().is_terminal() {
            return None;
        }
        // It asks on the terminal itself, so its standard output is free to tell when it is ready.
        let mut child = Command::new(PROGRAM)
            .args(["--fallback", "--notify-fd", "1"])
            .stdin(Stdio::inherit())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut stdout = child.stdout.take()?;
        let agent = Self(child);
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            let _ = stdout.read_to_end(&mut Vec::new());
            let _ = ready.send(());
        });
        let _ = is_ready.recv_timeout(LIMIT);
        Some(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Not SIGKILL: it has to give the terminal its echo back.
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let told = pid.map(|pid| kill_process(pid, Signal::TERM));
        if matches!(told, Some(Ok(()))) {
            let _ = self.0.wait();
        }
    }
}
