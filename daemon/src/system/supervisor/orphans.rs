//! Processes of workspaces that supervisord does not know: those it left when it was killed, and those that
//! left their group.

use crate::{
    domain::UnitName,
    layout::Layout,
    system::procs::{self, ProcessId},
};
use nix::fcntl::OFlag;
use std::{
    collections::BTreeSet,
    fs::{self, Metadata, OpenOptions},
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Time between TERM and KILL; a workspace waits for its port meanwhile.
const GRACE: Duration = Duration::from_secs(2);

/// Every process below our supervisord has this in its environment, unless it removed it.
pub(crate) fn run_dir_setting(layout: &Layout) -> String {
    format!("CID_RUN_DIR={}", layout.run_dir.display())
}

/// Every process of a workspace has this in its environment, unless it removed it.
pub(crate) fn unit_setting(unit: &UnitName) -> String {
    format!("CID_UNIT={unit}")
}

/// Processes to be ended.
#[derive(Default)]
pub(crate) struct Orphans {
    ids: BTreeSet<ProcessId>,
    groups: BTreeSet<u32>,
}

impl Orphans {
    /// Processes of one workspace: those whose ids are written down, their descendants, and those with its
    /// mark in their environment. The groups of `others`, processes of other workspaces, are left out.
    pub(crate) fn of_unit(layout: &Layout, unit: &UnitName, others: &BTreeSet<u32>) -> Self {
        let look = Look::now(others);
        let mut orphans = Self::default();
        for (pid_unit, file) in pid_files(&layout.app_pid_dir()) {
            if pid_unit == unit.as_str() {
                orphans.add_pid_file(&file, &look);
            }
        }
        orphans.add_marked(&[run_dir_setting(layout), unit_setting(unit)], &look);
        orphans
    }

    /// Processes of all workspaces and of the front. Only while supervisord does not run: otherwise they are
    /// its own.
    pub(crate) fn of_all(layout: &Layout) -> Self {
        let look = Look::now(&BTreeSet::new());
        let mut orphans = Self::default();
        for (_, file) in pid_files(&layout.app_pid_dir()) {
            orphans.add_pid_file(&file, &look);
        }
        orphans.add_marked(&[run_dir_setting(layout)], &look);
        orphans
    }

    /// Ends them; returns those that could not be ended.
    pub(crate) async fn end(self) -> Vec<ProcessId> {
        if self.ids.is_empty() && self.groups.is_empty() {
            return Vec::new();
        }
        let (ids, groups): (Vec<_>, Vec<_>) = (
            self.ids.into_iter().collect(),
            self.groups.into_iter().collect(),
        );
        procs::end(&ids, &groups, GRACE).await
    }

    /// The file holds `PID START_TIME` of a process group's leader. The group may outlive its leader; until
    /// the group is empty, the kernel does not reuse the number.
    fn add_pid_file(&mut self, file: &Path, look: &Look) {
        let Some((id, owner)) = read_pid_file(file) else {
            return;
        };
        if procs::stat(id.pid).is_some_and(|stat| stat.id != id) {
            return;
        }
        // A writer can name any process: it counts only for its own.
        let may_end = |stat: &procs::Stat| owner == 0 || procs::user(stat.id.pid) == Some(owner);
        let members = look.tree.all();
        let members: Vec<_> = members
            .filter(|stat| stat.group == id.pid || stat.id == id)
            .collect();
        let plausible = members
            .iter()
            .all(|stat| stat.id.start_time >= id.start_time && may_end(stat));
        if plausible && !members.is_empty() {
            let groups = members.iter().map(|stat| stat.group);
            self.groups.extend(groups.filter(|group| *group == id.pid));
            let pids: Vec<_> = members.iter().map(|stat| stat.id.pid).collect();
            let family = look.tree.with_descendants(&pids);
            self.ids.extend(family.iter().map(|stat| stat.id));
        }
    }

    /// Adds marked processes, except those that this daemon started: its helpers end with their job.
    fn add_marked(&mut self, settings: &[String], look: &Look) {
        let marked = look
            .strangers
            .iter()
            .filter(|id| procs::environment_holds(id.pid, settings));
        self.ids.extend(marked);
    }
}

/// One look at all processes but those in groups of other workspaces.
struct Look {
    tree: procs::Tree,
    /// Those that this daemon has not started.
    strangers: Vec<ProcessId>,
}

impl Look {
    fn now(others: &BTreeSet<u32>) -> Self {
        let tree = procs::Tree::without(others);
        let own: BTreeSet<_> = match std::process::id() {
            // As the first process of a container, this daemon is the parent of all orphans.
            1 => BTreeSet::from([1]),
            pid => {
                let family = tree.with_descendants(&[pid]);
                family.iter().map(|stat| stat.id.pid).collect()
            }
        };
        let strangers = tree
            .all()
            .filter(|stat| !own.contains(&stat.id.pid))
            .map(|stat| stat.id)
            .collect();
        Self { tree, strangers }
    }
}

/// Removes what a workspace's processes wrote down about themselves.
pub(crate) fn forget(layout: &Layout, unit: &UnitName) {
    for (pid_unit, file) in pid_files(&layout.app_pid_dir()) {
        if pid_unit == unit.as_str() {
            // A file that stays names a process that is gone, and every reader checks that.
            drop(fs::remove_file(file));
        }
    }
}

/// Removes what all processes wrote down about themselves.
pub(crate) fn forget_all(layout: &Layout) {
    for (_, file) in pid_files(&layout.app_pid_dir()) {
        drop(fs::remove_file(file));
    }
}

/// `UNIT.PROCESS` files: a process type holds no dot.
fn pid_files(dir: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let (unit, _) = name.to_str()?.rsplit_once('.')?;
        Some((UnitName::parse(unit)?.as_str().to_owned(), entry.path()))
    };
    entries.flatten().filter_map(named).collect()
}

/// Which process the file names, and who wrote it. Apps' users write into this folder, so links are not
/// followed and nothing blocks.
fn read_pid_file(path: &Path) -> Option<(ProcessId, u32)> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .ok()?;
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    let mut text = String::new();
    file.take(64).read_to_string(&mut text).ok()?;
    let (pid, start_time) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok().filter(|pid| *pid > 1)?;
    Some((
        ProcessId {
            pid,
            start_time: start_time.parse().ok()?,
        },
        metadata.uid(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::process::CommandExt, process::Command};

    fn layout() -> (tempfile::TempDir, Layout, UnitName) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::sandbox(dir.path());
        fs::create_dir_all(layout.app_pid_dir()).unwrap();
        (dir, layout, UnitName::parse("shop.anna").unwrap())
    }

    fn of_unit(layout: &Layout, unit: &UnitName) -> Orphans {
        Orphans::of_unit(layout, unit, &BTreeSet::new())
    }

    #[tokio::test]
    async fn a_group_is_found_when_its_leader_is_gone() {
        let (_dir, layout, unit) = layout();
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & exit 0"])
            .process_group(0)
            .spawn()
            .unwrap();
        let start_time = procs::stat(child.id()).unwrap().id.start_time;
        child.wait().unwrap();
        let file = layout.app_pid_dir().join("shop.anna.web");
        fs::write(&file, format!("{} {}", child.id(), start_time + 1_000_000)).unwrap();
        assert!(
            of_unit(&layout, &unit).groups.is_empty(),
            "a group older than the file is not ours"
        );
        fs::write(&file, format!("{} {start_time}\n", child.id())).unwrap();
        assert!(
            of_unit(&layout, &UnitName::parse("shop.ann").unwrap())
                .groups
                .is_empty()
        );
        assert_eq!(of_unit(&layout, &unit).end().await, []);
        assert!(procs::all().iter().all(|stat| stat.group != child.id()));
        forget(&layout, &unit);
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn a_file_speaks_for_its_writers_processes_only() {
        let (_dir, layout, unit) = layout();
        let mut child = Command::new("sleep")
            .arg("60")
            .process_group(0)
            .spawn()
            .unwrap();
        let start_time = procs::stat(child.id()).unwrap().id.start_time;
        let file = layout.app_pid_dir().join("shop.anna.web");
        fs::write(&file, format!("{} {start_time}", child.id())).unwrap();
        let me = procs::user(std::process::id()).unwrap();
        if me == 0 {
            std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
            assert!(of_unit(&layout, &unit).ids.is_empty());
            std::os::unix::fs::chown(&file, Some(me), None).unwrap();
        }
        assert!(!of_unit(&layout, &unit).ids.is_empty());
        // A pipe does not block the reader, and a link is not followed.
        fs::rename(&file, layout.run_dir.join("target")).unwrap();
        std::os::unix::fs::symlink(layout.run_dir.join("target"), &file).unwrap();
        assert!(of_unit(&layout, &unit).ids.is_empty());
        fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(of_unit(&layout, &unit).ids.is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_number_that_belongs_to_somebody_else_is_left_alone() {
        let (_dir, layout, unit) = layout();
        let mut child = Command::new("sleep")
            .arg("60")
            .process_group(0)
            .spawn()
            .unwrap();
        let start_time = procs::stat(child.id()).unwrap().id.start_time;
        fs::write(
            layout.app_pid_dir().join("shop.anna.web"),
            format!("{} {}", child.id(), start_time - 1),
        )
        .unwrap();
        assert_eq!(of_unit(&layout, &unit).end().await, []);
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
