//! Control groups of workspaces' apps on a host. Only root can move a process out of its group, so the group
//! holds everything that an app started, and nothing else.

use crate::{
    domain::{ProcessType, UnitName},
    system::exec,
};
use cid_kernel::{cgroup, fs};
use cid_protocol::fault::Fault;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const SERVICE: &str = "cid-supervisor.service";
const ASK_LIMIT: Duration = Duration::from_secs(10);
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Kills what is left of a workspace's app and removes its group; it is no error if there is none.
///
/// # Errors
/// systemd does not tell where the groups are, or a process cannot be signalled.
pub(super) async fn end(unit: &UnitName) -> Result<(), Fault> {
    match service_group().await? {
        Some(service) => end_group(&service.join(cgroup::name_of(unit.as_str()))).await,
        // supervisord does not run, and everything in its group ended with it.
        None => Ok(()),
    }
}

/// Kills what is left of the processes of one type; the app's others run on.
///
/// # Errors
/// As [`end`].
pub(super) async fn end_type(unit: &UnitName, process: &ProcessType) -> Result<(), Fault> {
    match service_group().await? {
        Some(service) => end_group(&of_type(&service, unit, process)).await,
        None => Ok(()),
    }
}

fn of_type(service: &Path, unit: &UnitName, process: &ProcessType) -> PathBuf {
    service
        .join(cgroup::name_of(unit.as_str()))
        .join(process.as_str())
}

/// The workspaces whose apps have groups, sorted.
///
/// # Errors
/// systemd does not tell where the groups are.
pub(super) async fn all() -> Result<Vec<UnitName>, Fault> {
    let names = match service_group().await? {
        Some(service) => fs::names(&service)?,
        None => Vec::new(),
    };
    let units = names.iter().filter_map(|name| cgroup::unit_of(name));
    Ok(units.filter_map(UnitName::parse).collect())
}

/// The folder of the supervisor's group. systemd is asked each time, as operators may move units between
/// slices.
async fn service_group() -> Result<Option<PathBuf>, Fault> {
    let args = ["show", "--property=ControlGroup", "--value", SERVICE];
    let output = exec::output("systemctl", args, ASK_LIMIT).await?;
    match (output.status, output.stdout.trim()) {
        (Some(0), "") => Ok(None),
        (Some(0), group) => Ok(cgroup::folder_of(Path::new(group))),
        _ => Err(Fault::new(format!(
            "cannot find the control group of {SERVICE}: {}",
            output.stderr.trim()
        ))),
    }
}

async fn end_group(group: &Path) -> Result<(), Fault> {
    let deadline = Instant::now() + KILL_LIMIT;
    loop {
        // Checked first: where cid may not write, as below a supervisor's unit from before an upgrade,
        // removing a missing folder fails with a different error.
        if fs::is_missing(group) {
            return Ok(());
        }
        // A group with processes or subgroups for process types cannot be removed.
        for inner in groups_in(group) {
            let _ = std::fs::remove_dir(inner);
        }
        match std::fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(
                    Fault::io("end what runs in", group, error).hint("cgroup.procs there lists it")
                );
            }
            Err(_) => {}
        }
        fs::write_control(&group.join("cgroup.kill"), "1")?;
        sleep(Duration::from_millis(5)).await;
    }
}

fn groups_in(group: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn none_is_no_error_also_where_nothing_may_be_written() {
        // The kernel refuses such changes to its own folders.
        end_group(Path::new("/proc/self/fdinfo/none"))
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        // If nothing runs, the groups of its process types are removed as well.
        std::fs::create_dir(dir.path().join("web")).unwrap();
        end_group(dir.path()).await.unwrap();
        assert!(!dir.path().exists());
    }

    #[tokio::test]
    async fn a_types_processes_end_without_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let unit = UnitName::parse("shop.live.3").unwrap();
        let of = |name: &str| of_type(dir.path(), &unit, &ProcessType::parse(name).unwrap());
        for name in ["web", "worker"] {
            std::fs::create_dir_all(of(name)).unwrap();
        }
        assert_eq!(of("web").parent(), of("worker").parent());
        end_group(&of("worker")).await.unwrap();
        assert!(of("web").exists() && !of("worker").exists());
        assert!(of("web").ends_with(Path::new(&cgroup::name_of("shop.live.3")).join("web")));
    }
}
