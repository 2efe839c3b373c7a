//! Finds uv, or brings it in.

use crate::{
    helper::{Lines, command, environment::Environment},
    system::fault::{Fault, FaultContext},
};
use nix::fcntl::{Flock, FlockArg};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The machine's own, or else cid's.
///
/// # Errors
/// There is none and it cannot be installed.
pub(super) fn find_or_bring(
    tools_dir: &Path,
    python: &Path,
    env: &Environment,
    lines: Lines,
) -> Result<PathBuf, Fault> {
    if let Ok(path) = command::find(OsStr::new("uv"), env, Path::new("/"))
        && works(&path, env)
    {
        return Ok(path);
    }
    let ours = tools_dir.join("uv/bin/uv");
    if ours.exists() {
        return Ok(ours);
    }
    let lock = tools_dir.join("uv.lock");
    let file = File::create(&lock).map_err(|error| Fault::io("make", &lock, error))?;
    let _lock = Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| Fault::io("lock", &lock, error))?;
    if !ours.exists() {
        lines("uv is not installed; fetching it");
        bring(tools_dir, python, env, lines)?;
    }
    Ok(ours)
}

/// A wrapper that picks versions may be on PATH without there being a uv behind it.
fn works(uv: &Path, env: &Environment) -> bool {
    command::capture(&[uv.into(), "--version".into()], env, Path::new("/"))
        .is_ok_and(|(status, _)| status.success())
}

/// Installed beside its place and renamed, so that it is there whole or not at all.
fn bring(tools_dir: &Path, python: &Path, env: &Environment, lines: Lines) -> Result<(), Fault> {
    let new = tools_dir.join("uv.new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(|error| Fault::io("remove", &new, error))?;
    }
    run(
        &[
            python.into(),
            "-m".into(),
            "venv".into(),
            new.clone().into(),
        ],
        env,
        tools_dir,
        lines,
    )?;
    let pip = ["-m", "pip", "install", "--quiet", "uv"].map(OsString::from);
    let argv: Vec<_> = std::iter::once(new.join("bin/python").into())
        .chain(pip)
        .collect();
    run(&argv, env, tools_dir, lines)?;
    fs::rename(&new, tools_dir.join("uv")).cannot(format!("put uv into {}", tools_dir.display()))
}

fn run(argv: &[OsString], env: &Environment, dir: &Path, lines: Lines) -> Result<(), Fault> {
    let status = command::run(argv, env, dir, lines)?;
    if status.success() {
        Ok(())
    } else {
        Err(Fault::new(format!(
            "cannot install uv: status {}",
            command::code(status)
        )))
    }
}
