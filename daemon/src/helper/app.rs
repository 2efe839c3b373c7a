//! `cid-helper app`: becomes a process of a workspace. supervisord's program files name only this
//! and the run file, so that nothing of the operator's or the repository's text gets into them.

use super::{
    command,
    drop::{self, Role},
    environment::Environment,
    reaper::Process,
    run_file::{ProcessCommand, RunFile},
};
use crate::system::fault::{Fault, FaultContext};
use std::{
    convert::Infallible,
    ffi::OsString,
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{self, Command},
};

/// Becomes the process; returns only when that fails.
///
/// # Errors
/// The run file cannot be read or has no such process; the program cannot be found or started.
pub(super) fn become_app(run_file: &Path, name: &str) -> Result<Infallible, Fault> {
    drop::settle(Role::App)?;
    let run_file = read(run_file)?;
    let wanted = run_file.processes.get(name).ok_or_else(|| {
        let known: Vec<_> = run_file.processes.keys().map(String::as_str).collect();
        Fault::new(format!(
            "cannot start {name}: {} has only {}",
            run_file.unit,
            known.join(", ")
        ))
    })?;
    let argv: Vec<OsString> = match wanted {
        ProcessCommand::Arguments(argv) => argv.iter().map(Into::into).collect(),
        ProcessCommand::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.into()],
    };
    let mut env = environment(&run_file);
    env.insert("CID_PROCESS".into(), name.into());
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| Fault::new(format!("cannot start {name}: its command is empty")))?;
    let path = command::find(program, &env, &run_file.dir)?;
    write_pid(&run_file, name)?;
    let error = Command::new(&path)
        .arg0(program)
        .args(arguments)
        .env_clear()
        .envs(env)
        .current_dir(&run_file.dir)
        .exec();
    Err(Fault::new(format!(
        "cannot run {} in {}: {error}",
        path.display(),
        run_file.dir.display()
    )))
}

/// Reads a run file.
pub(super) fn read(path: &Path) -> Result<RunFile, Fault> {
    let text = fs::read(path).map_err(|error| Fault::io("read", path, error))?;
    serde_json::from_slice(&text).map_err(|error| Fault::io("understand", path, error))
}

/// The whole environment of the workspace's processes.
pub(super) fn environment(run_file: &RunFile) -> Environment {
    run_file
        .env
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Says who the process is; exec keeps both number and start time.
fn write_pid(run_file: &RunFile, name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.contains('/') {
        return Err(Fault::new(format!(
            "cannot start {name:?}: that is no name of a process"
        )));
    }
    let me = process::id();
    let start = Process::read(me.cast_signed())
        .ok_or_else(|| Fault::new("cannot read /proc/self/stat"))?
        .start;
    let path = run_file.pid_dir.join(format!("{}.{name}", run_file.unit));
    let temporary = run_file
        .pid_dir
        .join(format!(".{}.{name}.{me}", run_file.unit));
    fs::write(&temporary, format!("{me} {start}\n"))
        .map_err(|error| Fault::io("write", &temporary, error))?;
    fs::rename(&temporary, &path).cannot(format!("rename to {}", path.display()))
}
