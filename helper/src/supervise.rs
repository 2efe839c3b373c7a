//! `cid-helper supervise`: becomes supervisord, in a control group of its own.

use crate::command;
use cid_kernel::cgroup;
use cid_protocol::{environment::Environment, fault::Fault};
use std::{
    convert::Infallible, env, ffi::OsString, os::unix::process::CommandExt, path::Path,
    process::Command,
};

/// Becomes the program, with this process's own environment; returns only when that fails. Without
/// control groups it goes on all the same: sites that are up are worth more.
///
/// # Errors
/// The program cannot be found or started.
pub(super) fn supervise(words: &[OsString]) -> Result<Infallible, Fault> {
    if let Err(fault) = cgroup::become_supervisor() {
        eprintln!("cid-helper: workspaces' apps get no control groups of their own: {fault}");
    }
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Fault::new("cannot become nothing"))?;
    let env: Environment = env::vars_os().collect();
    let path = command::find(program, &env, Path::new("/"))?;
    let error = Command::new(&path).arg0(program).args(arguments).exec();
    Err(Fault::new(format!(
        "cannot run {}: {error}",
        path.display()
    )))
}
