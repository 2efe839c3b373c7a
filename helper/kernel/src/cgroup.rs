//! Control groups. Each workspace's app has one of its own beside supervisord's, so that it can be
//! limited as a whole and ended as a whole, whatever else runs as the same user. Below it each process
//! type has one, so that what is left of an earlier start can be told from the other types:
//!
//! ```text
//! cid-supervisor.service           systemd's, given over to cid (Delegate=)
//! +- supervisor                    supervisord: the kernel wants processes in leaves only
//! +- app-PROJECT.NAME              all that a workspace's app starts
//!    +- TYPE                       of it, what one of its process types starts
//! ```

use cid_protocol::{
    fault::{Fault, FaultContext},
    request::Resource,
    run_file::Limits,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long what is left of an earlier start may take to die.
const LEFT_LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);
/// supervisord's own.
const SUPERVISOR: &str = "supervisor";
/// The kernel keeps files of its own beside these folders, such as `memory.max`.
const PREFIX: &str = "app-";
/// What the names of the units begin with in which something runs as a workspace's user.
const UNITS: &[&str] = &["cid-supervisor.", HELPER, "cid-run-", "cid-standing-"];
const HELPER: &str = "cid-helper-";
/// What is shared out among workspaces.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// Joins the process that writes.
const ME: &str = "0";

/// Which limits a control group keeps; for the others each process has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// That of all processes' memory together.
    pub memory: bool,
    /// That of the number of processes.
    pub processes: bool,
}

/// What a workspace's app's group is called below the supervisor's unit.
pub fn name_of(unit: &str) -> String {
    format!("{PREFIX}{unit}")
}

/// The unit whose app's group has this name; the inverse of [`name_of`].
pub fn unit_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)
}

/// Where a control group of the second version is, by the kernel's name of it (`/system.slice/...`).
/// `None`: this machine has no such groups.
pub fn folder_of(group: &Path) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    locate(&mounts, group)
}

fn locate(mounts: &str, group: &Path) -> Option<PathBuf> {
    let mount = |line: &str| {
        let (head, tail) = line.split_once(" - ")?;
        let mut fields = head.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let fits = tail.split(' ').next()? == "cgroup2";
        let inside = group.strip_prefix(root).ok().filter(|_| fits)?;
        Some((root.len(), Path::new(point).join(inside)))
    };
    // Units may have parts of it mounted once more.
    let whole = mounts.lines().filter_map(mount).min_by_key(|(len, _)| *len);
    whole.map(|(_, folder)| folder)
}

/// Whether a process is in a control group of one of cid's units. True where that cannot be told. Groups
/// below a user's own systemd manager do not count: that user chooses their names.
pub fn is_cids(pid: u32) -> bool {
    group_of(pid).is_none_or(|group| has_unit(&group, UNITS))
}

/// Whether a process is a helper's of a job.
pub fn is_helpers(pid: u32) -> bool {
    group_of(pid).is_some_and(|group| has_unit(&group, &[HELPER]))
}

fn has_unit(group: &str, beginnings: &[&str]) -> bool {
    let is_unit = |name: &str| {
        name.ends_with(".service") && beginnings.iter().any(|begin| name.starts_with(begin))
    };
    !group.starts_with("/user.slice") && group.split('/').any(is_unit)
}

fn group_of(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let group = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(group.to_owned())
}

/// This process's own.
fn own() -> Result<PathBuf, Fault> {
    let text = fs::read_to_string("/proc/self/cgroup").cannot("read /proc/self/cgroup")?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    own.and_then(|path| folder_of(Path::new(path)))
        .ok_or_else(|| Fault::new("cannot find this process's control group"))
}

/// Moves this process, the first of the supervisor's unit, into a leaf, and has the kernel share
/// memory and processes out below the unit.
///
/// # Errors
/// There are no control groups, or this process may not change them.
pub fn become_supervisor() -> Result<(), Fault> {
    divide(&own()?)
}

fn divide(unit: &Path) -> Result<(), Fault> {
    enter(&unit.join(SUPERVISOR))?;
    let there = read(&unit.join("cgroup.controllers"))?;
    let wanted = CONTROLLERS
        .iter()
        .filter(|wanted| there.split_whitespace().any(|name| name == **wanted));
    wanted.copied().try_for_each(|controller| {
        write(
            &unit.join("cgroup.subtree_control"),
            &format!("+{controller}"),
        )
    })
}

/// Moves this process into the group of a process type of a workspace's app, with the app's limits. What
/// an earlier start of that type has left there is ended first: supervisord knows only the process that it
/// started, which may have been killed alone, and the others would keep the port.
///
/// # Errors
/// supervisord is in no group of its own, this process may not change groups, or something that is left
/// takes no signal.
pub fn become_app(unit: &str, process: &str, limits: &Limits) -> Result<Kept, Fault> {
    let own = own()?;
    let above = own
        .parent()
        .filter(|_| own.ends_with(SUPERVISOR))
        .ok_or_else(|| {
            Fault::new("cannot make a control group: supervisord has none of its own")
                .hint("systemctl restart cid-supervisor makes it, and takes all workspaces down for some seconds")
        })?;
    join(&above.join(name_of(unit)), process, limits)
}

/// `process` holds no dot, as all of the kernel's own files there do.
fn join(group: &Path, process: &str, limits: &Limits) -> Result<Kept, Fault> {
    make(group)?;
    // Without a limit of its own an app could still take all that the machine has.
    let memory = limits.memory.or_else(most_of_the_memory);
    let kept = Kept {
        memory: limit(&group.join("memory.max"), memory)?,
        processes: limit(&group.join("pids.max"), limits.processes)?,
    };
    let own = group.join(process);
    end_left(&own)?;
    enter(&own)?;
    Ok(kept)
}

/// Kills what runs in a group. Usually nothing does, or there is no such group.
fn end_left(group: &Path) -> Result<(), Fault> {
    let deadline = Instant::now() + LEFT_LIMIT;
    while has_processes(group)? {
        if Instant::now() >= deadline {
            let fault = Fault::io("end what is left in", group, "it takes no signal");
            return Err(fault.hint("cgroup.procs there lists it"));
        }
        write(&group.join("cgroup.kill"), "1")?;
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn has_processes(group: &Path) -> Result<bool, Fault> {
    let file = group.join("cgroup.procs");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(!text.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Fault::io("read", &file, error)),
    }
}

/// `false`: the kernel does not keep this limit here, or there is none.
fn limit(file: &Path, value: Option<u64>) -> Result<bool, Fault> {
    match value {
        Some(value) if file.exists() => write(file, &value.to_string()).map(|()| true),
        _ => Ok(false),
    }
}

/// Three quarters, as helpers may have.
fn most_of_the_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: u64 = line?.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024 / 4 * 3)
}

fn make(group: &Path) -> Result<(), Fault> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Fault::io("make the control group", group, error))
        }
        _ => Ok(()),
    }
}

fn enter(group: &Path) -> Result<(), Fault> {
    make(group)?;
    write(&group.join("cgroup.procs"), ME)
}

fn read(file: &Path) -> Result<String, Fault> {
    fs::read_to_string(file).map_err(|error| Fault::io("read", file, error))
}

fn write(file: &Path, text: &str) -> Result<(), Fault> {
    fs::write(file, text).map_err(|error| Fault::io("write", file, error))
}

/// How often something was refused to this process's group so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusals {
    killed: u64,
    forks: u64,
}

impl Refusals {
    /// Up to now; none where the kernel does not count them.
    pub fn count() -> Self {
        let Ok(own) = own() else {
            return Self::default();
        };
        let number = |file: &str, name: &str| {
            let text = fs::read_to_string(own.join(file)).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok())
        };
        Self {
            killed: number("memory.events", "oom_kill ").unwrap_or_default(),
            forks: number("pids.events", "max ").unwrap_or_default(),
        }
    }

    /// What ran out since then.
    pub fn since(self) -> Option<Resource> {
        let now = Self::count();
        if now.killed > self.killed {
            Some(Resource::Memory)
        } else if now.forks > self.forks {
            Some(Resource::Processes)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cgroup::*;

    const MOUNTS: &str = "\
30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
41 30 0:26 /system.slice/system-cid.slice /sys/fs/cgroup/system.slice/system-cid.slice rw - cgroup2 cgroup2 rw
31 25 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
";

    #[test]
    fn finds_groups_where_they_are_mounted() {
        let group = Path::new("/system.slice/system-cid.slice/x.service");
        let folder = "/sys/fs/cgroup/system.slice/system-cid.slice/x.service";
        assert_eq!(locate(MOUNTS, group).unwrap(), Path::new(folder));
        let hybrid = MOUNTS.replace("/sys/fs/cgroup rw", "/sys/fs/cgroup/unified rw");
        let below = locate(&hybrid, Path::new("/a")).unwrap();
        assert_eq!(below, Path::new("/sys/fs/cgroup/unified/a"));
        assert_eq!(locate("", group), None);
    }

    #[test]
    fn limits_are_written_where_the_kernel_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join(name_of("shop.anna"));
        fs::create_dir(&group).unwrap();
        fs::write(group.join("memory.max"), "max").unwrap();
        let limits = Limits {
            memory: Some(64 << 20),
            processes: Some(20),
            ..Limits::default()
        };
        let kept = join(&group, "web", &limits).unwrap();
        assert!(kept.memory && !kept.processes);
        let said = |name: &str| fs::read_to_string(group.join(name)).unwrap();
        assert_eq!(
            (&*said("memory.max"), &*said("web/cgroup.procs")),
            ("67108864", "0")
        );
        fs::write(group.join("pids.max"), "max").unwrap();
        // As the kernel shows it once the process is gone.
        fs::write(group.join("web/cgroup.procs"), "").unwrap();
        let kept = join(
            &group,
            "web",
            &Limits {
                memory: None,
                ..limits
            },
        )
        .unwrap();
        assert!(kept.memory && kept.processes);
        assert_eq!(said("pids.max"), "20");
        assert_eq!(
            said("memory.max").parse(),
            Ok(most_of_the_memory().unwrap())
        );
    }

    #[test]
    fn a_unit_is_divided_by_what_it_has() {
        let unit = tempfile::tempdir().unwrap();
        fs::write(unit.path().join("cgroup.controllers"), "cpu pids").unwrap();
        divide(unit.path()).unwrap();
        let said = |name: &str| fs::read_to_string(unit.path().join(name)).unwrap();
        assert_eq!(said("cgroup.subtree_control"), "+pids");
        assert_eq!(said("supervisor/cgroup.procs"), ME);
    }

    #[test]
    fn a_unit_of_cids_is_one_of_the_systems() {
        let cids = "/system.slice/system-cid.slice";
        for inside in [
            "system-cid-helpers.slice/cid-helper-1.a.service",
            "cid-supervisor.service/app-shop.anna/web",
            "cid-run-1.a.service",
        ] {
            assert!(has_unit(&format!("{cids}/{inside}"), UNITS), "{inside}");
        }
        for outside in [
            "/system.slice/cron.service",
            "/system.slice/run-u3.service",
            "/system.slice/cid-other.service",
            "/user.slice/user-70000.slice/user@70000.service/app.slice/cid-supervisor.service",
            "/user.slice/user-70000.slice/session-1.scope",
            "/",
        ] {
            assert!(!has_unit(outside, UNITS), "{outside}");
        }
        assert!(!has_unit(
            &format!("{cids}/cid-supervisor.service/app-a.b"),
            &[HELPER]
        ));
    }
}
