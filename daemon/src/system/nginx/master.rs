//! nginx's master process: who it is, and a reload that is over when it says so.

use super::{NginxPaths, check};
use crate::system::{included::Refusal, procs};
use cid_protocol::fault::Fault;
use nix::sys::signal::Signal;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// 10,000 vhosts take about 3 s; a name server that says nothing takes 10 s for each name.
const LIMIT: Duration = Duration::from_secs(30);
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

/// What begins the complaint that nginx has not given up yet: it tries to bind for 2.5 s.
const IN_USE: &str = "bind() to ";
/// By which words it gives up then.
const GIVEN_UP: &str = "still could not bind()";

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
        if let Some(refusal) = complaint_since(&paths.error_log, log_length) {
            return Err(refused(paths, &refusal));
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

/// nginx goes on with the configuration of before.
fn refused(paths: &NginxPaths, refusal: &Refusal) -> Fault {
    let by = refusal.place().map_or(String::new(), |place| {
        format!("its configuration is broken by {place}: ")
    });
    Fault::new(format!("cannot reload nginx: {by}{}", refusal.message)).hint(format!(
        "it goes on as before; mend that until `{}` passes, then try again",
        paths.test_command()
    ))
}

/// What the test cannot see, such as a port in use, the master says in its log.
fn complaint_since(log: &Path, length: u64) -> Option<Refusal> {
    let mut file = File::open(log).ok()?;
    file.seek(SeekFrom::Start(length)).ok()?;
    let mut text = Vec::new();
    file.take(LOG_LIMIT).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    last_word(&text)
}

/// Why a reload has failed, once it has: while nginx still tries, it has not.
fn last_word(log: &str) -> Option<Refusal> {
    let mut complaints = log.lines().filter(|line| line.contains("[emerg]"));
    let first = check::parse(complaints.next()?);
    let tries_on = first.message.starts_with(IN_USE) && first.message.contains("in use)");
    (!tries_on || complaints.any(|line| line.contains(GIVEN_UP))).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_has_failed_when_nginx_has_given_up() {
        let message = |log: &str| last_word(log).map(|refusal| refusal.message);
        let in_use = "2026/11/22 13:00:00 [emerg] 12#12: bind() to 0.0.0.0:81 failed (98: Address already in use)\n";
        assert_eq!(message(&in_use.repeat(4)), None);
        let log = format!("{in_use}2026/11/22 13:00:02 [emerg] 12#12: still could not bind()\n");
        assert!(message(&log).unwrap().starts_with("bind() to 0.0.0.0:81"));
        let log = "2026/11/22 13:00:00 [emerg] 12#12: host not found in upstream \"a\" in /etc/nginx/x:3\n";
        let refusal = last_word(log).unwrap();
        assert_eq!(refusal.message, "host not found in upstream \"a\"");
        assert_eq!(refusal.place().unwrap(), "/etc/nginx/x:3");
        assert_eq!(message("2026/11/22 13:00:00 [notice] 12#12: x\n"), None);
    }
}
