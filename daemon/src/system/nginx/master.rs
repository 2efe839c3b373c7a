//! nginx's master process: who it is, and a reload that is over when it says so.

use super::{NginxPaths, check};
use crate::system::{Fault, procs};
use nix::sys::signal::Signal;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// 10,000 vhosts take about 3 s.
const LIMIT: Duration = Duration::from_secs(10);
/// Where somebody restarts nginx, it runs again within this time.
const RESTART_LIMIT: Duration = Duration::from_secs(3);
const LOG_LIMIT: u64 = 64 * 1024;

/// The running master, by its pid file.
pub(crate) fn running(pid_file: &Path) -> Option<procs::ProcessId> {
    let pid = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    let stat = procs::stat(pid).filter(|stat| !stat.zombie)?;
    let title = procs::command_line(pid);
    title
        .first()
        .is_some_and(|title| title.starts_with("nginx: master process"))
        .then_some(stat.id)
}

/// The running master; one that was killed a moment ago gets some time to be started again.
async fn running_soon(pid_file: &Path) -> Option<procs::ProcessId> {
    let began = Instant::now();
    loop {
        match running(pid_file) {
            None if began.elapsed() < RESTART_LIMIT => sleep(Duration::from_millis(50)).await,
            found => return found,
        }
    }
}

/// Reloads, and returns when the workers of before take no new connections and new ones do.
pub(crate) async fn reload(paths: &NginxPaths) -> Result<(), Fault> {
    let Some(master) = running_soon(&paths.pid_file).await else {
        return Err(Fault::new("cannot reload nginx: it does not run").hint(paths.start_hint));
    };
    let log_length = fs::metadata(&paths.error_log).map_or(0, |metadata| metadata.len());
    let before: BTreeSet<_> = workers(master.pid)
        .into_iter()
        .map(|worker| worker.pid)
        .collect();
    procs::send(master, Signal::SIGHUP);
    let started = Instant::now();
    loop {
        sleep(Duration::from_millis(5)).await;
        let now = workers(master.pid);
        let old_are_done = now
            .iter()
            .all(|worker| worker.leaving || !before.contains(&worker.pid));
        let new_are_up = now
            .iter()
            .any(|worker| worker.up && !before.contains(&worker.pid));
        if old_are_done && new_are_up {
            return Ok(());
        }
        if let Some(complaint) = complaint_since(&paths.error_log, log_length) {
            return Err(Fault::new(format!("cannot reload nginx: {complaint}")));
        }
        if !procs::is_alive(master) {
            return Err(Fault::new("cannot reload nginx: it has ended").hint(paths.start_hint));
        }
        if started.elapsed() > LIMIT {
            return Err(Fault::new(format!(
                "cannot reload nginx: no new workers within {} s",
                LIMIT.as_secs()
            ))
            .hint(format!("look into {}", paths.error_log.display())));
        }
    }
}

struct Worker {
    pid: u32,
    /// It has set itself up and takes connections.
    up: bool,
    /// It takes no new connections.
    leaving: bool,
}

fn workers(master: u32) -> Vec<Worker> {
    procs::children(master)
        .into_iter()
        .map(|pid| {
            // Until it has set itself up, a worker still shows the master's title.
            let title = procs::command_line(pid)
                .into_iter()
                .next()
                .unwrap_or_default();
            let leaving = title.is_empty() || title.contains("is shutting down");
            Worker {
                pid,
                up: title.starts_with("nginx: worker process") && !leaving,
                leaving,
            }
        })
        .collect()
}

/// What the test cannot see, such as a port in use, the master says in its log.
fn complaint_since(log: &Path, length: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    file.seek(SeekFrom::Start(length)).ok()?;
    let mut text = Vec::new();
    file.take(LOG_LIMIT).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.contains("[emerg]"))?;
    Some(check::parse(line).message)
}
