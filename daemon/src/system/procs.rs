//! Processes as /proc shows them, and how to end them for certain.

pub use cid_kernel::reaper::{user, users};

use cid_kernel::reaper::{self, pids, stat_line};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpgid},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Up to this many processes are followed one by one.
const FEW: usize = 20;

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Who it is.
    pub id: ProcessId,
    /// Its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// It has ended, but nobody has asked for its status yet.
    pub zombie: bool,
}

/// Looks a process up; also a zombie.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(pid, &stat_line(pid)?)
}

/// All processes that this one may see, zombies left out.
pub fn all() -> Vec<Stat> {
    let all = pids().into_iter().filter_map(stat);
    all.filter(|stat| !stat.zombie).collect()
}

/// The process group of a process. Costs a tenth of [`stat`].
fn group(pid: u32) -> Option<u32> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    u32::try_from(getpgid(Some(pid)).ok()?.as_raw()).ok()
}

/// Whether this very process still runs.
pub fn is_alive(id: ProcessId) -> bool {
    stat(id.pid).is_some_and(|stat| stat.id == id && !stat.zombie)
}

/// Its arguments; nginx shows its title here.
pub fn command_line(pid: u32) -> Vec<String> {
    null_separated(pid, "cmdline")
}

/// A variable of its environment, as it was when it started.
pub fn environment_value(pid: u32, name: &str) -> Option<String> {
    let environment = null_separated(pid, "environ");
    let value = |setting: &String| {
        setting
            .strip_prefix(name)?
            .strip_prefix('=')
            .map(str::to_owned)
    };
    environment.iter().find_map(value)
}

/// Whether its environment, as it was when it started, holds all of these `NAME=VALUE`s.
pub fn environment_holds(pid: u32, settings: &[String]) -> bool {
    let environment = null_separated(pid, "environ");
    settings.iter().all(|setting| environment.contains(setting))
}

/// All processes that run as a user in any way: by the real, the effective, the saved or the file system's id.
pub fn of(user: u32) -> Vec<u32> {
    let all = all().into_iter().map(|stat| stat.id.pid);
    all.filter(|pid| users(*pid).contains(&user)).collect()
}

/// The inodes of the sockets it holds open.
pub fn sockets(pid: u32) -> Vec<u64> {
    let inode = |target: &str| {
        target
            .strip_prefix("socket:[")?
            .strip_suffix(']')?
            .parse()
            .ok()
    };
    open_files(pid)
        .iter()
        .filter_map(|target| inode(target))
        .collect()
}

/// What its descriptors lead to, in the kernel's words.
pub fn open_files(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let targets = entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

/// Whether the program it runs was removed or replaced since it started.
pub fn program_is_gone(pid: u32) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe"));
    program.is_ok_and(|program| program.to_string_lossy().ends_with(" (deleted)"))
}

/// Its children, zombies included where the kernel keeps lists: one for each of its threads.
pub fn children(pid: u32) -> Vec<u32> {
    reaper::children(pid).unwrap_or_else(|| {
        let all = all().into_iter().filter(|stat| stat.parent == pid);
        all.map(|stat| stat.id.pid).collect()
    })
}

/// These processes and all that descend from them.
pub fn with_descendants(pids: &[u32]) -> Vec<Stat> {
    Tree::now().with_descendants(pids)
}

/// All processes at one time, and which are whose children.
pub struct Tree {
    all: BTreeMap<u32, Stat>,
    children: BTreeMap<u32, Vec<Stat>>,
}

impl Tree {
    /// Looks at all of them.
    pub fn now() -> Self {
        Self::of(all())
    }

    /// Looks at all but the members of these process groups, which cost next to nothing.
    pub fn without(groups: &BTreeSet<u32>) -> Self {
        let others = pids().into_iter();
        let others = others.filter(|pid| group(*pid).is_some_and(|group| !groups.contains(&group)));
        let others = others.filter_map(stat).filter(|stat| !stat.zombie);
        Self::of(others.collect())
    }

    fn of(all: Vec<Stat>) -> Self {
        let mut children: BTreeMap<u32, Vec<Stat>> = BTreeMap::new();
        for stat in &all {
            children.entry(stat.parent).or_default().push(*stat);
        }
        let all = all.into_iter().map(|stat| (stat.id.pid, stat)).collect();
        Self { all, children }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Stat> {
        self.all.values()
    }

    /// These and all that descend from them.
    pub fn with_descendants(&self, pids: &[u32]) -> Vec<Stat> {
        let pids: BTreeSet<u32> = pids.iter().copied().collect();
        let mut found: Vec<Stat> = pids
            .iter()
            .filter_map(|pid| self.all.get(pid))
            .copied()
            .collect();
        let mut seen: BTreeSet<_> = found.iter().map(|stat| stat.id.pid).collect();
        let mut next = 0;
        while let Some(stat) = found.get(next).copied() {
            next += 1;
            for child in self.children.get(&stat.id.pid).into_iter().flatten() {
                if seen.insert(child.id.pid) {
                    found.push(*child);
                }
            }
        }
        found
    }
}

/// A process and all that descend from it, found by the kernel's lists of children.
fn family(pid: u32) -> Vec<Stat> {
    let mut found: Vec<Stat> = stat(pid).filter(|stat| !stat.zombie).into_iter().collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|stat| stat.id.pid) {
        next += 1;
        let born = children(parent).into_iter().filter_map(stat);
        let new = |child: &Stat| child.parent == parent && !child.zombie;
        found.extend(born.filter(new));
    }
    found
}

/// What each of these processes and its descendants have in memory, in bytes; 0 for those that are not there.
pub fn memory_of(pids: &[Option<u32>]) -> Vec<u64> {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let page = page
        .ok()
        .flatten()
        .and_then(|page| u64::try_from(page).ok());
    let resident = |stat: &Stat| {
        let text = fs::read_to_string(format!("/proc/{}/statm", stat.id.pid)).ok()?;
        text.split(' ').nth(1)?.parse::<u64>().ok()
    };
    // One look at all processes where many are asked about, a walk from child to child where few are.
    let tree = (pids.len() > FEW).then(Tree::now);
    let of = |pid: &u32| {
        let family = match &tree {
            Some(tree) => tree.with_descendants(&[*pid]),
            None => family(*pid),
        };
        let pages = family.iter().filter_map(resident).sum::<u64>();
        pages * page.unwrap_or(4096)
    };
    pids.iter().map(|pid| pid.as_ref().map_or(0, of)).collect()
}

/// Sends a signal, unless the number belongs to somebody else by now.
pub fn send(id: ProcessId, signal: Signal) {
    if let (true, Ok(pid)) = (is_alive(id), i32::try_from(id.pid)) {
        // Gone between the look and the signal: what was wanted.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Ends processes: these, and everything in their `groups` at any time while this runs. TERM
/// first, KILL after `grace`. Gives those that live on even so.
pub async fn end(ids: &[ProcessId], groups: &[u32], grace: Duration) -> Vec<ProcessId> {
    let mut groups: BTreeSet<u32> = groups.iter().copied().collect();
    let mut told = BTreeSet::new();
    let started = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        if !any_lives(ids, &groups) {
            return Vec::new();
        }
        let living = members(ids, &mut groups);
        let elapsed = started.elapsed();
        if living.is_empty() || elapsed > grace + Duration::from_secs(3) {
            return living;
        }
        for id in living {
            if elapsed >= grace {
                send(id, Signal::SIGKILL);
            } else if told.insert(id) {
                send(id, Signal::SIGTERM);
                // A stopped process takes no TERM.
                send(id, Signal::SIGCONT);
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Whether one of `ids` lives or one of `groups` has members, ended ones included. Costs no look at all others.
fn any_lives(ids: &[ProcessId], groups: &BTreeSet<u32>) -> bool {
    let has_members = |group: &u32| {
        let group = i32::try_from(*group).map(Pid::from_raw);
        group.is_ok_and(|group| killpg(group, None) != Err(Errno::ESRCH))
    };
    ids.iter().any(|id| is_alive(*id)) || groups.iter().any(has_members)
}

/// The living among `ids` and in `groups`. A group that was empty once is forgotten: its number
/// may be given out again.
fn members(ids: &[ProcessId], groups: &mut BTreeSet<u32>) -> Vec<ProcessId> {
    let own = pids().into_iter().filter(|pid| {
        ids.iter().any(|id| id.pid == *pid)
            || group(*pid).is_some_and(|group| groups.contains(&group))
    });
    let own = own.filter_map(stat).filter(|stat| !stat.zombie);
    let own: Vec<Stat> = own.collect();
    let living: BTreeSet<_> = own.iter().map(|stat| stat.group).collect();
    groups.retain(|group| living.contains(group));
    own.iter()
        .filter(|stat| groups.contains(&stat.group) || ids.contains(&stat.id))
        .map(|stat| stat.id)
        .collect()
}

fn null_separated(pid: u32, file: &str) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    bytes
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// The name, second of the fields, may hold anything, closing brackets included.
fn parse_stat(pid: u32, text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    Some(Stat {
        id: ProcessId {
            pid,
            start_time: fields.get(19)?.parse().ok()?,
        },
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::process::CommandExt, process::Command};

    #[test]
    fn a_name_may_look_like_fields() {
        let tail = "S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 998877 1 1";
        let stat = parse_stat(42, &format!("42 (a) R 1 (b)) {tail}")).unwrap();
        assert_eq!(
            (stat.parent, stat.group, stat.id.start_time, stat.zombie),
            (7, 42, 998_877, false)
        );
    }

    #[test]
    fn finds_itself() {
        let me = stat(std::process::id()).unwrap();
        assert!(is_alive(me.id));
        assert!(!is_alive(ProcessId {
            start_time: me.id.start_time + 1,
            ..me.id
        }));
        assert!(
            with_descendants(&[me.parent])
                .iter()
                .any(|stat| stat.id == me.id)
        );
    }

    #[test]
    fn few_and_many_have_the_same_memory() {
        // A child of another thread than the first, with a child of its own.
        let start = || Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn();
        let mut child = std::thread::spawn(start).join().unwrap().unwrap();
        let me = std::process::id();
        let both = || {
            let few: Vec<_> = family(me).iter().map(|stat| stat.id).collect();
            let many: Vec<_> = with_descendants(&[me]).iter().map(|stat| stat.id).collect();
            (BTreeSet::from_iter(few), BTreeSet::from_iter(many))
        };
        let is_there = || {
            let (few, many) = both();
            let has_both = |family: &BTreeSet<ProcessId>| {
                let is_child = |id: &&ProcessId| id.pid == child.id();
                let below = |id: &&ProcessId| stat(id.pid).is_some_and(|s| s.parent == child.id());
                family.iter().any(|id| is_child(&id)) && family.iter().any(|id| below(&id))
            };
            has_both(&few) && has_both(&many)
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !is_there() {
            assert!(std::time::Instant::now() < deadline, "{:?}", both());
            std::thread::sleep(Duration::from_millis(10));
        }
        let few = memory_of(&[Some(child.id())]);
        assert!(few[0] > 0);
        assert_eq!(memory_of(&[None; FEW + 1]), [0; FEW + 1]);
        for stat in family(child.id()) {
            send(stat.id, Signal::SIGKILL);
        }
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn ends_a_group_that_ignores_term() {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' TERM; sleep 60 & sleep 60 & wait; wait"])
            .process_group(0)
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(200)).await;
        let leader = stat(child.id()).unwrap().id;
        assert_eq!(
            end(&[leader], &[leader.pid], Duration::from_millis(200)).await,
            []
        );
        assert!(all().iter().all(|stat| stat.group != leader.pid));
        child.wait().unwrap();
    }
}
