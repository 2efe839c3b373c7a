//! Helpers that this daemon does not hold: those of an earlier daemon or of dropped calls. Lock files record
//! them.

use cid_kernel::reaper::{self, Process};
use cid_protocol::{fault::Fault, wire::CONNECTION};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until all helpers of a job have ended (their input has closed, so they are about to), kills those
/// that have not after `limit`, and removes their lock files.
pub(super) async fn end(folder: &Path, job: Uuid, limit: Duration) -> Result<(), Fault> {
    let files = lock_files(folder, job)?;
    if files.is_empty() {
        return Ok(());
    }
    for path in files {
        end_one(&path, limit).await?;
    }
    // A killed helper could not clean up, and a process that left its session is found by its mark alone.
    let gone =
        tokio::task::spawn_blocking(move || reaper::kill_marked(&job.to_string(), limit)).await;
    match gone {
        Ok(true) => Ok(()),
        _ => Err(Fault::new(format!(
            "cannot end what helpers of job {job} left running"
        ))),
    }
}

/// Kills a helper that does not end by itself: first its descendants, which could not be found without it,
/// then the helper.
pub(super) async fn kill_with_descendants(pid: i32, limit: Duration) -> Result<(), Fault> {
    let gone = tokio::task::spawn_blocking(move || {
        // Stopped, it cannot start more.
        let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
        let gone = reaper::kill_descendants(pid, limit);
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        gone
    })
    .await;
    match gone {
        Ok(true) => Ok(()),
        _ => Err(Fault::new(format!(
            "cannot end what the helper {pid} started"
        ))),
    }
}

async fn end_one(path: &Path, limit: Duration) -> Result<(), Fault> {
    let mut deadline = Instant::now() + limit;
    let mut killed = false;
    loop {
        if is_free(path)? {
            break;
        }
        if Instant::now() >= deadline {
            let pid = owner(path).map(|owner| owner.pid);
            let pid = pid.filter(|&pid| is_helper(pid, path));
            // On a full disk the file stays empty.
            let pid = pid.or_else(|| helper_of(path)).filter(|_| !killed);
            let Some(pid) = pid else {
                return Err(Fault::io(
                    "end the helper that holds",
                    path,
                    "it does not let go",
                ));
            };
            kill_with_descendants(pid, limit).await?;
            killed = true;
            deadline = Instant::now() + limit;
        }
        sleep(LOOK_EVERY).await;
    }
    if let Some(owner) = owner(path) {
        sweep(owner, limit).await?;
    }
    forget(path)
}

/// Removes a lock file, and the folder of its helper's connection.
pub(super) fn forget(path: &Path) -> Result<(), Fault> {
    remove_folder(&path.with_extension(CONNECTION))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Fault::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes the folder of a helper's connection, with the socket in it.
fn remove_folder(folder: &Path) -> Result<(), Fault> {
    let remove = || {
        for entry in fs::read_dir(folder)? {
            fs::remove_file(entry?.path())?;
        }
        fs::remove_dir(folder)
    };
    match remove() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Fault::io("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// A helper that was itself killed could not clean up; what it started is still of its session.
/// The kernel gives a session's number to no new process while one of the session lives.
async fn sweep(owner: Owner, limit: Duration) -> Result<(), Fault> {
    if owner.boot != reaper::boot_id()
        || Process::read(owner.pid).is_some_and(|p| p.start != owner.start)
    {
        return Ok(());
    }
    let gone = tokio::task::spawn_blocking(move || reaper::kill_session(owner.pid, limit)).await;
    match gone {
        Ok(true) => Ok(()),
        _ => Err(Fault::new(format!(
            "cannot end what the helper {} left running",
            owner.pid
        ))),
    }
}

fn lock_files(folder: &Path, job: Uuid) -> Result<Vec<PathBuf>, Fault> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Fault::io("list", folder, error)),
    };
    let prefix = format!("{job}.");
    Ok(entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.as_bytes().starts_with(prefix.as_bytes()) && name.as_bytes().ends_with(b".lock")
        })
        .map(|entry| entry.path())
        .collect())
}

fn is_free(path: &Path) -> Result<bool, Fault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(Fault::io("open", path, error)),
    };
    Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok())
}

/// What a helper wrote into its lock file.
struct Owner {
    pid: i32,
    start: u64,
    boot: String,
}

fn owner(path: &Path) -> Option<Owner> {
    let text = fs::read_to_string(path).ok()?;
    let mut words = text.split_whitespace();
    Some(Owner {
        pid: words.next()?.parse().ok().filter(|&pid| pid > 1)?,
        start: words.next()?.parse().ok()?,
        boot: words.next()?.to_owned(),
    })
}

/// The process that was started with this lock file.
fn helper_of(lock: &Path) -> Option<i32> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|&pid| is_helper(pid, lock))
}

/// Whether that process was started with this lock file.
fn is_helper(pid: i32, lock: &Path) -> bool {
    let lock = lock.as_os_str().as_bytes();
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        line.split(|&byte| byte == 0)
            .any(|argument| argument == lock)
    })
}
