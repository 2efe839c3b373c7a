//! A host's own control groups: otherwise two hosts would share one. Everything in them belongs to this
//! host alone, even after its owner was killed.

use crate::wait::wait_until;
use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

const KILL_LIMIT: Duration = Duration::from_secs(20);
/// Controllers of the first version that can be lent to a host, where this machine has them.
pub(super) const LENT: [&str; 2] = ["memory", "pids"];

/// One group in each hierarchy that systemd keeps its units in.
#[derive(Clone, Debug)]
pub(super) struct Group(Vec<PathBuf>);

impl Group {
    /// Makes one below this process's own; for these controllers too.
    pub(super) fn make(name: &str, lent: &[&str]) -> Result<Self> {
        let group = Self(parents(lent)?.iter().map(|dir| dir.join(name)).collect());
        anyhow::ensure!(!group.0.is_empty(), "no control groups are mounted");
        for dir in &group.0 {
            fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        Ok(group)
    }

    /// Those written down in a file, if there is one.
    pub(super) fn recorded(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) => Ok(Self(text.lines().map(PathBuf::from).collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(Vec::new())),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    pub(super) fn record(&self, file: &Path) -> Result<()> {
        let lines: Vec<String> = self.0.iter().map(|dir| dir.display().to_string()).collect();
        Ok(fs::write(file, lines.join("\n"))?)
    }

    /// Moves a process in, and all that it starts from then on.
    pub(super) fn add(&self, pid: u32) -> Result<()> {
        for dir in &self.0 {
            fs::write(dir.join("cgroup.procs"), pid.to_string())
                .with_context(|| format!("cannot move a process into {}", dir.display()))?;
        }
        Ok(())
    }

    pub(super) fn kill_and_remove(&self) -> Result<()> {
        wait_until("the host's processes to end", KILL_LIMIT, || {
            let left: Vec<i32> = self.0.iter().flat_map(|dir| processes(dir)).collect();
            for pid in &left {
                // It may end between the look and the signal.
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            left.is_empty().then_some(())
        })?;
        for dir in &self.0 {
            // For a moment the last process still counts.
            let what = format!("{} to be removed", dir.display());
            wait_until(&what, KILL_LIMIT, || remove(dir).ok())?;
        }
        Ok(())
    }
}

/// Whether this machine has hierarchies of the first version for all that can be lent.
pub(super) fn can_lend() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    LENT.iter()
        .all(|controller| mount_point(&mounts, controller, &LENT).is_some())
}

/// The folders of this process's own groups.
fn parents(lent: &[&str]) -> Result<Vec<PathBuf>> {
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let of = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let mount_point = mount_point(&mounts, controllers, lent)?;
        Some(mount_point.join(path.trim_start_matches('/')))
    };
    Ok(groups.lines().filter_map(of).collect())
}

/// Where the second version's hierarchy is mounted, or systemd's own of the first version, or one of
/// those that are lent.
fn mount_point(mounts: &str, controllers: &str, lent: &[&str]) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let path = head.split(' ').nth(4)?;
        let (kind, options) = (tail.split(' ').next()?, tail.rsplit(' ').next()?);
        let fits = match controllers {
            "" => kind == "cgroup2",
            _ if controllers == "name=systemd" || lent.contains(&controllers) => {
                kind == "cgroup" && options.split(',').any(|o| o == controllers)
            }
            _ => false,
        };
        fits.then(|| PathBuf::from(path))
    })
}

fn processes(dir: &Path) -> Vec<i32> {
    let own = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for one that this process cannot see.
    let own = own.lines().filter_map(|line| line.parse().ok());
    let own: Vec<i32> = own.filter(|pid| *pid > 0).collect();
    let below = folders(dir).into_iter().flat_map(|dir| processes(&dir));
    own.into_iter().chain(below).collect()
}

fn remove(dir: &Path) -> io::Result<()> {
    folders(dir).iter().try_for_each(|dir| remove(dir))?;
    match fs::remove_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        ended => ended,
    }
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
31 25 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";

    #[test]
    fn knows_the_hierarchies_of_systemd() {
        let of = |controllers| mount_point(MOUNTS, controllers, &[]);
        assert_eq!(of(""), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(
            of("name=systemd"),
            Some(PathBuf::from("/sys/fs/cgroup/systemd"))
        );
        assert_eq!(of("memory"), None);
        let lent = mount_point(MOUNTS, "memory", &LENT);
        assert_eq!(lent, Some(PathBuf::from("/sys/fs/cgroup/memory")));
    }
}
