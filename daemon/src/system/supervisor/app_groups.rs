//! The control groups of workspaces' apps on a host. Whatever an app started is in its group, as the
//! kernel lets nobody but root out: so a group is how all of it is ended, and only that.

use crate::{
    domain::UnitName,
    helper::cgroup,
    system::{Fault, exec, fs},
};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const SERVICE: &str = "cid-supervisor.service";
const ASK_LIMIT: Duration = Duration::from_secs(10);
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Kills all that is left of a workspace's app and removes its group; none is no error.
///
/// # Errors
/// systemd does not say where the groups are, or something of it takes no signal.
pub(super) async fn end(unit: &UnitName) -> Result<(), Fault> {
    match service_group().await? {
        Some(service) => end_group(&service.join(cgroup::name_of(unit.as_str()))).await,
        // supervisord does not run, and with it ended all in its group.
        None => Ok(()),
    }
}

/// The folder of the supervisor's group. Asked of systemd each time, as operators may move units
/// from slice to slice.
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
        // One that has processes cannot be removed.
        match std::fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
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
