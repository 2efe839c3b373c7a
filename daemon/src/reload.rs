//! `systemctl reload cid`: returns when the projects have been read, and reports what is wrong with them.
//!
//! The daemon records its readings in a small file. systemd runs `cid reload`, which sends the signal and
//! waits until the file shows a reading that began afterwards.

use crate::layout::Layout;
use cid_kernel::fs;
use cid_protocol::fault::{Fault, FaultContext};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// systemd itself waits for 90 s.
const LIMIT: Duration = Duration::from_secs(75);
/// The name of the daemon's process.
const NAME: &str = "cid";
const PAUSE: Duration = Duration::from_millis(20);

/// What the daemon records about its readings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// How many readings have begun since the daemon started.
    begun: u64,
    /// How many of them have ended.
    ended: u64,
    /// What was wrong in the last reading.
    problems: Vec<String>,
}

/// The daemon's side.
pub(crate) struct Telling {
    /// `None` in a sandbox, where nobody asks.
    path: Option<PathBuf>,
    told: Told,
}

impl Telling {
    /// Removes what an earlier daemon recorded.
    pub(crate) fn new(layout: &Layout, is_host: bool) -> Self {
        let path = is_host.then(|| layout.reload_file());
        if let Some(Err(fault)) = path.as_deref().map(fs::remove_file) {
            tracing::warn!("{fault}");
        }
        Self {
            path,
            told: Told::default(),
        }
    }

    pub(crate) fn begin(&mut self) {
        self.told.begun += 1;
        self.write();
    }

    pub(crate) fn end(&mut self, problems: Vec<String>) {
        self.told.ended = self.told.begun;
        self.told.problems = problems;
        self.write();
    }

    /// When this fails, those who wait run into their time limit.
    fn write(&self) {
        let Some(path) = &self.path else { return };
        let text = serde_json::to_vec(&self.told).unwrap_or_default();
        if let Err(fault) = fs::write_atomic(path, &text, 0o600) {
            tracing::warn!("{fault}");
        }
    }
}

/// The signal would end any other process.
fn refuse_others(daemon: i32) -> Result<(), Fault> {
    let name = std::fs::read_to_string(format!("/proc/{daemon}/comm")).unwrap_or_default();
    match name.trim_end() == NAME {
        true => Ok(()),
        false => Err(
            Fault::new(format!("cannot reload: process {daemon} is not {NAME}"))
                .hint("systemctl reload cid knows which it is"),
        ),
    }
}

/// Makes the daemon with this process id read the projects again, and waits until it has.
///
/// # Errors
/// The daemon is not running, does not finish in time, or a project cannot be used. The other projects are in
/// effect all the same.
pub(crate) fn reload(layout: &Layout, daemon: i32) -> Result<(), Fault> {
    refuse_others(daemon)?;
    tell(layout, daemon)
}

/// Sends the signal and waits.
fn tell(layout: &Layout, daemon: i32) -> Result<(), Fault> {
    let before = read(layout)?.begun;
    signal(daemon, Some(Signal::SIGHUP))?;
    let deadline = Instant::now() + LIMIT;
    loop {
        let told = read(layout)?;
        if told.ended > before {
            return judge(&told.problems);
        }
        // Checks whether the daemon still lives.
        signal(daemon, None)?;
        if Instant::now() > deadline {
            return Err(Fault::new(format!(
                "the projects are still being read after {} s",
                LIMIT.as_secs()
            ))
            .hint("look what it waits for: journalctl -u cid"));
        }
        thread::sleep(PAUSE);
    }
}

fn signal(daemon: i32, signal: Option<Signal>) -> Result<(), Fault> {
    kill(Pid::from_raw(daemon), signal)
        .cannot(format!("have cid (process {daemon}) read the projects"))
}

fn read(layout: &Layout) -> Result<Told, Fault> {
    match fs::read_optional(&layout.reload_file())? {
        Some(text) => serde_json::from_str(&text).cannot("understand what the daemon tells"),
        None => Ok(Told::default()),
    }
}

fn judge(problems: &[String]) -> Result<(), Fault> {
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!(
        "not all is as the project files say: {}; the other projects were read",
        problems.join("; ")
    );
    Err(Fault::new(message)
        .hint("mend it, then: systemctl reload cid; cictl project check tells more"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn who_waits_is_told_of_a_reading_that_began_later() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::sandbox(dir.path());
        fs::make_dir(&layout.run_dir, 0o755).unwrap();
        let mut telling = Telling::new(&layout, true);
        // A reading is under way: it may have read the files before they were changed.
        telling.begin();
        let mut sleeper = process::Command::new("sh")
            .args(["-c", "trap '' HUP; exec sleep 60"])
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(300));
        let id = i32::try_from(sleeper.id()).unwrap();
        let waiting = thread::spawn({
            let layout = layout.clone();
            move || tell(&layout, id)
        });
        thread::sleep(Duration::from_millis(300));
        telling.end(vec!["of old".into()]);
        thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished());
        telling.begin();
        telling.end(vec!["bad.toml: no".into()]);
        let fault = waiting.join().unwrap().unwrap_err();
        assert!(fault.message.contains("bad.toml: no; the other"), "{fault}");
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        let fault = tell(&layout, id).unwrap_err();
        assert!(
            fault.message.contains("No such process") || fault.message.contains("ESRCH"),
            "{fault}"
        );
    }

    #[test]
    fn another_process_gets_no_signal() {
        let dir = tempfile::tempdir().unwrap();
        let id = i32::try_from(process::id()).unwrap();
        let fault = reload(&Layout::sandbox(dir.path()), id).unwrap_err();
        assert!(fault.message.contains("is not cid"), "{fault}");
    }
}
