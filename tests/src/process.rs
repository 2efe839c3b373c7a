//! Processes of a sandbox, found by what they inherited and by who started them, never by name.

use crate::wait::wait_until;
use anyhow::Result;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{collections::HashSet, fs, path::Path, time::Duration};

/// A process and what it shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Who started it, or who took it over.
    pub parent: i32,
    /// The name of its program, at most 15 bytes.
    pub name: String,
    /// Its arguments, separated by spaces.
    pub command: String,
    /// When it was started, in clock ticks since boot: tells it from a later one of the same id.
    start: u64,
}

impl Process {
    /// Looks at one process; `None` when it is gone (or a zombie).
    #[must_use]
    pub fn look(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything, parentheses too.
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = tail.split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            return None;
        }
        let parent = fields.get(1)?.parse().ok()?;
        let start = fields.get(19)?.parse().ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command)
            .replace('\0', " ")
            .trim_end()
            .to_owned();
        Some(Self {
            pid,
            parent,
            name,
            command,
            start,
        })
    }

    /// Whether it is still the same one.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::look(self.pid).is_some_and(|now| now.start == self.start)
    }

    fn has_variable(&self, variable: &str) -> bool {
        fs::read(format!("/proc/{}/environ", self.pid)).is_ok_and(|bytes| {
            bytes
                .split(|byte| *byte == 0)
                .any(|v| v == variable.as_bytes())
        })
    }
}

/// Everything cid started for the sandbox in `dir` that outlives a job: what carries its
/// `CID_RUN_DIR`, the process named in its supervisord's and nginx's pid files, and all descendants
/// of these.
#[must_use]
pub fn processes(dir: &Path) -> Vec<Process> {
    let run_dir = dir.join("run");
    let variable = format!("CID_RUN_DIR={}", run_dir.display());
    let engines: Vec<i32> = ["supervisord.pid", "nginx.pid"]
        .iter()
        .filter_map(|name| {
            fs::read_to_string(run_dir.join(name))
                .ok()?
                .trim()
                .parse()
                .ok()
        })
        .collect();
    let is_engine = |process: &Process| {
        // A stale pid file may name a process of somebody else.
        engines.contains(&process.pid) && process.command.contains(&dir.display().to_string())
    };
    family(|process| is_engine(process) || process.has_variable(&variable))
}

/// The helpers that are at work for the sandbox in `dir`, and all that they started.
#[must_use]
pub fn helpers(dir: &Path) -> Vec<Process> {
    let locks = dir.join("run/helpers").display().to_string();
    family(|process| process.name == "cid-helper" && process.command.contains(&locks))
}

/// Those that are of the first sort, and all their descendants.
fn family(is_first: impl Fn(&Process) -> bool) -> Vec<Process> {
    let all: Vec<Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::look)
        .collect();
    let first = all.iter().filter(|process| is_first(process));
    let mut ours: HashSet<i32> = first.map(|process| process.pid).collect();
    loop {
        let before = ours.len();
        let children = all.iter().filter(|process| ours.contains(&process.parent));
        ours.extend(children.map(|process| process.pid).collect::<Vec<_>>());
        if ours.len() == before {
            break;
        }
    }
    all.into_iter()
        .filter(|process| ours.contains(&process.pid))
        .collect()
}

/// Ends a process: SIGTERM, and SIGKILL after `patience`.
///
/// # Errors
/// It is there even after SIGKILL.
pub fn end(process: &Process, patience: Duration) -> Result<()> {
    for (signal, limit) in [
        (Signal::SIGTERM, patience),
        (Signal::SIGKILL, Duration::from_secs(10)),
    ] {
        if !process.is_alive() {
            return Ok(());
        }
        // It may end between the look and the signal.
        let _ = kill(Pid::from_raw(process.pid), signal);
        let what = format!("process {} to end: {}", process.pid, process.command);
        let ended = wait_until(&what, limit, || (!process.is_alive()).then_some(()));
        if signal == Signal::SIGKILL {
            return ended;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn finds_and_ends_what_carries_the_mark() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep")
            .arg("60")
            .env("CID_RUN_DIR", dir.path().join("run"))
            .spawn()
            .unwrap();
        // Until its exec the child is a copy of this process, without the mark.
        let found = wait_until("sleep", Duration::from_secs(10), || {
            processes(dir.path()).pop()
        });
        let found = found.unwrap();
        assert_eq!(
            (found.name.as_str(), found.command.as_str()),
            ("sleep", "sleep 60")
        );
        end(&found, Duration::from_secs(10)).unwrap();
        assert!(processes(dir.path()).is_empty());
        child.wait().unwrap();
    }
}
