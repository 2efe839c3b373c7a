//! Ends a helper reliably, with all that it started.

use super::earlier::kill_with_descendants;
use crate::system::exec;
use cid_kernel::reaper;
use cid_protocol::fault::Fault;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(50);

/// What ties a helper to everything it starts.
#[derive(Clone, Debug)]
pub(super) enum Keeper {
    /// It is a child of the daemon's with this lock file: descent, and its session.
    Child(PathBuf),
    /// It is a unit of systemd's of this name: the unit's control group.
    Unit(String),
}

impl Keeper {
    /// Kills it and all that it started; `pid` is the child that stands for it.
    pub(super) async fn kill(&self, pid: i32, limit: Duration) -> Result<(), Fault> {
        match self {
            Self::Child(_) => kill_with_descendants(pid, limit).await,
            Self::Unit(name) => stop(name, limit).await,
        }
    }

    /// Cleans up for a helper that was killed from outside.
    pub(super) async fn sweep(&self, pid: i32, limit: Duration) -> Result<(), Fault> {
        match self {
            Self::Child(_) => {
                let gone =
                    tokio::task::spawn_blocking(move || reaper::kill_session(pid, limit)).await;
                match gone {
                    Ok(true) => Ok(()),
                    _ => Err(Fault::new(format!(
                        "cannot end what the helper {pid} left running"
                    ))),
                }
            }
            // The unit is not over before its control group is empty.
            Self::Unit(_) => Ok(()),
        }
    }
}

/// Kills a whole unit and returns when nothing of it is left; a missing unit is no error. A pattern matches
/// every unit that fits it.
pub(in crate::system) async fn stop(unit: &str, limit: Duration) -> Result<(), Fault> {
    let killed = systemctl(&["kill", "--kill-who=all", "--signal=KILL", unit], limit).await?;
    let stopped = systemctl(&["stop", unit], limit * 2).await?;
    if killed || stopped || !systemctl(&["--quiet", "is-active", unit], limit).await? {
        return Ok(());
    }
    Err(Fault::new(format!("cannot end the unit {unit}"))
        .hint(format!("systemctl status {unit} tells more")))
}

/// Waits until units whose names begin so have ended by themselves, at most so long. systemd may keep one loaded that
/// has ended.
pub(super) async fn wait_for(prefix: &str, limit: Duration) -> Result<(), Fault> {
    let begin = Instant::now();
    while listed(prefix, &[])
        .await?
        .iter()
        .any(|(_, state)| runs(state))
        && begin.elapsed() < limit
    {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn runs(state: &str) -> bool {
    matches!(
        state,
        "active" | "activating" | "deactivating" | "reloading"
    )
}

async fn systemctl(args: &[&str], limit: Duration) -> Result<bool, Fault> {
    let output = exec::output("systemctl", args, limit).await?;
    Ok(output.status == Some(0))
}

/// Units of helpers that are loaded, also those that have ended.
pub(super) async fn units(prefix: &str) -> Result<Vec<String>, Fault> {
    let units = listed(prefix, &["--all"]).await?;
    Ok(units.into_iter().map(|(name, _)| name).collect())
}

/// Units and their active states.
async fn listed(prefix: &str, more: &[&str]) -> Result<Vec<(String, String)>, Fault> {
    let pattern = format!("{prefix}*");
    let mut args = vec!["list-units", "--plain", "--no-legend", "--full", &pattern];
    args.extend(more);
    let output = exec::output("systemctl", &args, Duration::from_secs(10)).await?;
    // UNIT LOAD ACTIVE SUB DESCRIPTION.
    let units = output.stdout.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (name, state) = (fields.next()?, fields.nth(1)?);
        Some((name.to_owned(), state.to_owned()))
    });
    Ok(units.collect())
}
