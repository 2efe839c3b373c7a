//! Finds and kills what a process started, whatever it did to get away: children that forked
//! twice, began sessions of their own or changed their process group.

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    },
    unistd::Pid,
};
use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io::Read,
    os::unix::ffi::OsStrExt,
    sync::LazyLock,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(5);
/// `/proc/PID/stat` is shorter: 52 numbers and a short name.
const STAT_LEN: usize = 2048;

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// The number of its session's first process.
    pub session: i32,
    /// When it started, in clock ticks after boot: with the number it tells a process from a
    /// later one of the same number.
    pub start: u64,
    /// It has ended, but its parent has not asked yet.
    pub ended: bool,
}

impl Process {
    /// Looks at one process; `None` when there is none.
    pub fn read(pid: i32) -> Option<Self> {
        Self::parse(stat_line(pid.cast_unsigned())?.as_bytes())
    }

    fn parse(stat: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(stat);
        // The program's name stands in parentheses and may itself hold any character.
        let (pid, _) = text.split_once(' ')?;
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid: pid.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
            ended: matches!(*fields.first()?, "Z" | "X"),
        })
    }
}

/// `/proc/PID/stat` of a process; also of one that has ended. One call reads it: a growing buffer takes six, for each
/// process of the machine.
pub fn stat_line(pid: u32) -> Option<String> {
    let mut file = File::open(format!("/proc/{pid}/stat")).ok()?;
    let mut buffer = [0; STAT_LEN];
    let length = file.read(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// The numbers of all processes that this one may see.
pub fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The children of a process, ended ones included, by the kernel's lists: one for each of its threads. `None`: the
/// kernel keeps none.
pub fn children(pid: u32) -> Option<Vec<u32>> {
    static HAS_LISTS: LazyLock<bool> =
        LazyLock::new(|| fs::exists("/proc/thread-self/children").unwrap_or_default());
    if !*HAS_LISTS {
        return None;
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    // A thread that has just ended has handed its children on.
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let parse = |list: String| -> Vec<u32> {
        let pids = list.split_whitespace();
        pids.filter_map(|pid| pid.parse().ok()).collect()
    };
    Some(lists.flat_map(parse).collect())
}

/// Kills all descendants of a process, not itself, over and over until none is left; orphans are
/// found when the process is their subreaper. Tells whether none is left.
pub fn kill_descendants(root: i32, within: Duration) -> bool {
    kill_descendants_but(root, within, &|_| false)
}

/// The same, but these live on.
pub fn kill_descendants_but(root: i32, within: Duration, spared: &dyn Fn(i32) -> bool) -> bool {
    let is_me = root == std::process::id().cast_signed();
    if is_me && has_no_child() {
        return true;
    }
    kill_until_none(within, || {
        let mut found = family(root).unwrap_or_else(|| descendants(root, &processes()));
        found.retain(|pid| !spared(*pid));
        found
    })
}

/// Kills all processes of a session: what is left of a helper that died without cleaning up.
pub fn kill_session(session: i32, within: Duration) -> bool {
    kill_until_none(within, || {
        processes()
            .iter()
            .filter(|p| p.session == session && !p.ended)
            .map(|p| p.pid)
            .collect()
    })
}

/// Names the job in the environment of everything that its helpers start.
pub const JOB_MARK: &str = "CID_JOB";

/// Kills all processes that a job's helpers started, wherever they have gone since, unless they have
/// given themselves another environment.
pub fn kill_marked(job: &str, within: Duration) -> bool {
    kill_with_settings(&[format!("{JOB_MARK}={job}").into()], within)
}

/// Kills all processes with all of these settings (`NAME=VALUE`) in their environment, but this one.
/// Tells whether none is left.
pub fn kill_with_settings(marks: &[OsString], within: Duration) -> bool {
    let is_marked = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |mark: &OsString| {
            let mut settings = environment.split(|byte| *byte == 0);
            settings.any(|setting| setting == mark.as_bytes())
        };
        marks.iter().all(has)
    };
    let me = std::process::id().cast_signed();
    kill_until_none(within, || {
        processes()
            .iter()
            .filter(|p| p.pid != me && !p.ended && is_marked(p.pid))
            .map(|p| p.pid)
            .collect()
    })
}

/// Whether this process has no child any more, ended ones taken note of. For a subreaper that is
/// the same as no descendant, as orphans become its children; and it costs one call instead of a
/// look at every process. Only while nobody waits for a child of their own.
pub fn is_childless() -> bool {
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return true,
            Err(_) | Ok(WaitStatus::StillAlive) => return false,
            Ok(_) => {}
        }
    }
}

/// Whether this process has no child, not even an ended one. Takes note of none, so others may wait for
/// theirs.
fn has_no_child() -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags) == Err(Errno::ECHILD)
}

/// Takes note of the end of all ended children, so that they do not pile up. Only while nobody
/// waits for a child of their own.
pub fn reap_orphans() {
    while let Ok(status) = waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}

/// Names this boot of the machine: process numbers of another one mean nothing.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The user it runs as.
pub fn user(pid: u32) -> Option<u32> {
    users(pid).first().copied()
}

/// The users it runs as: real, effective, saved and file system's; none when it is gone.
pub fn users(pid: u32) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let users = line.unwrap_or_default().split_whitespace();
    users.filter_map(|user| user.parse().ok()).collect()
}

fn kill_until_none(within: Duration, find: impl Fn() -> Vec<i32>) -> bool {
    let deadline = Instant::now() + within;
    let mut empty = 0;
    loop {
        let found = find();
        for &pid in &found {
            // One that has just ended is as good as killed.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        empty = if found.is_empty() { empty + 1 } else { 0 };
        // One look is not enough: a process can appear at a number already passed by.
        if empty == 2 {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        if empty == 0 {
            std::thread::sleep(PAUSE);
        }
    }
}

/// The living descendants of a process, from child to child: a look at every process of the machine takes longer with
/// each workspace. A list leaves a child out only while another one of the same process goes, so one that is empty is
/// complete.
fn family(root: i32) -> Option<Vec<i32>> {
    let (mut found, mut waiting) = (Vec::new(), vec![root]);
    while let Some(parent) = waiting.pop() {
        for child in children(parent.cast_unsigned())? {
            let child = Process::read(child.cast_signed());
            if let Some(child) = child.filter(|child| child.parent == parent && !child.ended) {
                found.push(child.pid);
                waiting.push(child.pid);
            }
        }
    }
    Some(found)
}

fn descendants(root: i32, processes: &[Process]) -> Vec<i32> {
    let mut family = HashSet::from([root]);
    // A child may have a smaller number than its parent, so one pass need not be enough.
    loop {
        let before = family.len();
        for process in processes {
            if family.contains(&process.parent) {
                family.insert(process.pid);
            }
        }
        if family.len() == before {
            break;
        }
    }
    processes
        .iter()
        .filter(|p| p.pid != root && !p.ended && family.contains(&p.pid))
        .map(|p| p.pid)
        .collect()
}

fn processes() -> Vec<Process> {
    let pids = pids().into_iter();
    pids.filter_map(|pid| Process::read(pid.cast_signed()))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::reaper::*;

    #[test]
    fn reads_names_with_parentheses_and_spaces() {
        let stat = b"42 (a) R 9 (b) S 7 42 41 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 88";
        let process = Process::parse(stat).unwrap();
        assert_eq!(
            process,
            Process {
                pid: 42,
                parent: 7,
                session: 41,
                start: 12345,
                ended: false
            }
        );
    }

    #[test]
    fn knows_itself() {
        let me = std::process::id().cast_signed();
        assert_eq!(Process::read(me).unwrap().pid, me);
    }

    #[test]
    fn a_child_is_seen_until_somebody_waits_for_it() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        // It has ended or not: it is there.
        assert!(!has_no_child());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn finds_descendants_in_any_order() {
        let process = |pid, parent| Process {
            pid,
            parent,
            session: 1,
            start: 0,
            ended: false,
        };
        let all = [
            process(3, 9),
            process(9, 5),
            process(5, 1),
            process(4, 1),
            process(7, 3),
        ];
        let mut found = descendants(5, &all);
        found.sort_unstable();
        assert_eq!(found, [3, 7, 9]);
    }
}
