//! A push in two parts. The first one, while something else still has to be waited for, starts git,
//! which reaches the remote and then asks its `pre-push` hook. That is `cid-helper` itself and waits
//! for the second part. Until then the remote has been told nothing.

use super::{
    program::{Git, Hooks, Output},
    push,
};
use crate::{
    helper::request::Push,
    system::fault::{Fault, FaultContext},
};
use rustix::io::{FdFlags, fcntl_setfd};
use std::{
    env, fs,
    io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
};

/// What git calls the hook.
const HOOK: &str = "pre-push";
/// The folder with the hook, in the mirror.
const FOLDER: &str = "cid-hooks";
/// Tells the hook the number of the descriptor that the word comes by.
const GATE: &str = "CID_HELPER_GATE";
const GO: &[u8] = b"go";

/// A push that waits for the word.
struct Opened {
    ask: Push,
    gate: PipeWriter,
    push: JoinHandle<Result<Output, Fault>>,
}

static OPENED: Mutex<Option<Opened>> = Mutex::new(None);

fn take() -> Option<Opened> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Begins a push; returns at once.
///
/// # Errors
/// The hook cannot be put in place.
pub(in crate::helper) fn open(ask: Push) -> Result<(), Fault> {
    let folder = hook_folder(&ask.mirror)?;
    let (reader, gate) = io::pipe().cannot("make a pipe")?;
    // The hook inherits it. The other end is this process's alone: with it the push ends.
    fcntl_setfd(&reader, FdFlags::empty()).cannot("hand a pipe on")?;
    let push = {
        let ask = ask.clone();
        thread::spawn(move || run(&ask, folder, &reader))
    };
    *OPENED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Opened { ask, gate, push });
    Ok(())
}

fn run(ask: &Push, folder: PathBuf, gate: &PipeReader) -> Result<Output, Fault> {
    let mut git = Git::new(&ask.mirror, &ask.remote)?;
    git.hooks = Some(Hooks {
        folder,
        env: (GATE, gate.as_raw_fd().to_string().into()),
    });
    push::run(&git, ask)
}

/// Lets the push go on if it is this one that was begun; whether it came to a good end.
pub(super) fn finish(ask: &Push) -> bool {
    let Some(mut opened) = take() else {
        return false;
    };
    if opened.ask == *ask {
        // Where nobody reads it any more, the push has ended.
        let _ = opened.gate.write_all(GO);
    }
    drop(opened.gate);
    matches!(opened.push.join(), Ok(Ok(output)) if output.success)
}

/// Ends a push that was begun and shall not go on.
pub(in crate::helper) fn close() {
    if let Some(Opened { gate, push, .. }) = take() {
        drop(gate);
        // It failed, as it was to.
        let _ = push.join();
    }
}

/// The folder with the hook, which is this program.
fn hook_folder(mirror: &Path) -> Result<PathBuf, Fault> {
    let me = env::current_exe().cannot("find cid-helper itself")?;
    let folder = mirror.join(FOLDER);
    let hook = folder.join(HOOK);
    if fs::read_link(&hook).is_ok_and(|target| target == me) {
        return Ok(folder);
    }
    let temporary = folder.join(format!("{HOOK}.{}", std::process::id()));
    fs::create_dir_all(&folder)
        .and_then(|()| match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .and_then(|()| std::os::unix::fs::symlink(&me, &temporary))
        .and_then(|()| fs::rename(&temporary, &hook))
        .cannot(format!("write {}", hook.display()))?;
    Ok(folder)
}

/// Whether git started this process as its hook.
pub(in crate::helper) fn is_hook() -> bool {
    let name = env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name() == Some(HOOK.as_ref()))
}

/// Waits for the word; whoever held the other end is gone without it: the push must not be.
pub(in crate::helper) fn wait_for_go() -> ExitCode {
    let mut said = Vec::new();
    let number = env::var(GATE).unwrap_or_default();
    let read = fs::File::open(format!("/proc/self/fd/{number}"))
        .and_then(|mut gate| gate.read_to_end(&mut said));
    match read {
        Ok(_) if said == GO => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
