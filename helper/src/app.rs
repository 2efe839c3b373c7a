//! `cid-helper app`: becomes a process of a workspace. supervisord's program files name only this
//! and the run file, so that nothing of the operator's or the repository's text gets into them.

use crate::{
    command,
    drop::{self, Role},
    identity::{self, Keeper},
    socket,
};
use cid_kernel::{
    cgroup::{self, Kept},
    reaper::{self, Process},
};
use cid_protocol::{
    environment::Environment,
    fault::{Fault, FaultContext},
    run_file::{ProcessCommand, RunFile, WEB},
};
use nix::unistd;
use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{self, Command},
    time::Duration,
};

/// Names the process in its environment.
const PROCESS_MARK: &str = "CID_PROCESS";
/// Which settings together say whose process it is: of which sandbox, which workspace, which type.
const MARKS: [&str; 3] = ["CID_RUN_DIR", "CID_UNIT", PROCESS_MARK];
const LEFT_LIMIT: Duration = Duration::from_secs(5);
/// Means the run file that a unit of systemd's brings along.
pub(super) const CREDENTIAL: &str = "-";

/// Becomes the process; returns only when that fails. What is done before the user is taken on
/// touches nothing of that user's.
///
/// # Errors
/// The run file cannot be read or has no such process, or names no user although `user_required`;
/// the user cannot be taken on; the program cannot be found or started.
pub(super) fn become_app(
    path: &Path,
    name: &str,
    user_required: bool,
) -> Result<Infallible, Fault> {
    drop::settle(Role::App)?;
    let run_file = read(path)?;
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
    env.insert(PROCESS_MARK.into(), name.into());
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| Fault::new(format!("cannot start {name}: its command is empty")))?;
    end_left(&run_file, &env, name)?;
    write_pid(&run_file, name)?;
    let kept = enter_group(&run_file, name)?;
    if name == WEB && run_file.web_socket.is_some() {
        socket::name_later(path, user_required);
    }
    identity::assume(&run_file, user_required, Keeper::Group(kept), None)?;
    remove_left_socket(&run_file, name)?;
    let program_path = command::find(program, &env, &run_file.dir)?;
    let error = Command::new(&program_path)
        .arg0(program)
        .args(arguments)
        .env_clear()
        .envs(env)
        .current_dir(&run_file.dir)
        .exec();
    Err(Fault::new(format!(
        "cannot run {} in {}: {error}",
        program_path.display(),
        run_file.dir.display()
    )))
}

/// Reads a run file; `-` means the credential `run-file`.
pub(super) fn read(path: &Path) -> Result<RunFile, Fault> {
    let path = if path == Path::new(CREDENTIAL) {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
            Fault::new("cannot read the run file: no unit of systemd's brings one along")
        })?;
        PathBuf::from(folder).join("run-file")
    } else {
        path.to_owned()
    };
    let mut text = Vec::new();
    OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&path)
        .and_then(|mut file| {
            file.read_to_end(&mut text)?;
            Ok(file)
        })
        .map_err(|error| Fault::io("read", &path, error))
        .and_then(|file| refuse_foreign(&file, &path))?;
    serde_json::from_slice(&text).map_err(|error| Fault::io("understand", &path, error))
}

/// Root does what a run file says, so nobody else may have written it.
fn refuse_foreign(file: &File, path: &Path) -> Result<(), Fault> {
    let meta = file
        .metadata()
        .map_err(|error| Fault::io("look at", path, error))?;
    if unistd::geteuid().is_root() && (meta.uid() != 0 || meta.mode() & 0o022 != 0) {
        return Err(Fault::io("use", path, "others than root can write it"));
    }
    Ok(())
}

/// The whole environment of the workspace's processes.
pub(super) fn environment(run_file: &RunFile) -> Environment {
    run_file
        .env
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Ends what an earlier start of this process has left, in a sandbox; on a host its control group tells.
/// supervisord knows only the process that it started: if that one was killed alone, its children would keep
/// the port. A PID file of an earlier start exists only then, or when that start has just ended.
fn end_left(run_file: &RunFile, env: &Environment, name: &str) -> Result<(), Fault> {
    let is_first = || fs::symlink_metadata(pid_file(run_file, name)).is_err();
    if run_file.run_as.is_some() || is_first() {
        return Ok(());
    }
    let mark = |name: &str| {
        let mut setting = OsString::from(format!("{name}="));
        setting.push(env.get(OsStr::new(name))?);
        Some(setting)
    };
    let marks: Option<Vec<OsString>> = MARKS.iter().map(|name| mark(name)).collect();
    // Without all of them it could be somebody else's.
    let gone = marks.is_none_or(|marks| reaper::kill_with_settings(&marks, LEFT_LIMIT));
    match gone {
        true => Ok(()),
        false => Err(Fault::new(format!(
            "cannot start {name}: what an earlier start of it has left takes no signal"
        ))),
    }
}

/// Into the control group of this process of the workspace's app, where there can be one.
fn enter_group(run_file: &RunFile, name: &str) -> Result<Kept, Fault> {
    let Some(run_as) = run_file
        .run_as
        .as_ref()
        .filter(|_| unistd::geteuid().is_root())
    else {
        return Ok(Kept::default());
    };
    match cgroup::become_app(&run_file.unit, name, &run_as.limits) {
        Ok(kept) => Ok(kept),
        Err(fault) => {
            eprintln!("cid-helper: {fault}; it goes on in supervisord's");
            Ok(Kept::default())
        }
    }
}

/// Removes the socket of an earlier web process, left by a kill or a power cut. Not every program does so
/// itself, and none can listen there while it exists. Only the workspace can make it.
fn remove_left_socket(run_file: &RunFile, name: &str) -> Result<(), Fault> {
    let Some(socket) = run_file.web_socket.as_ref().filter(|_| name == WEB) else {
        return Ok(());
    };
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Fault::io("remove", socket, error))
        }
        _ => Ok(()),
    }
}

fn pid_file(run_file: &RunFile, name: &str) -> PathBuf {
    run_file.pid_dir.join(format!("{}.{name}", run_file.unit))
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
    let path = pid_file(run_file, name);
    let temporary = run_file
        .pid_dir
        .join(format!(".{}.{name}.{me}", run_file.unit));
    // One of an earlier process with the same number, which was killed in between.
    let _ = fs::remove_file(&temporary);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .and_then(|mut file| writeln!(file, "{me} {start}"));
    match written {
        Ok(()) => fs::rename(&temporary, &path).cannot(format!("rename to {}", path.display())),
        // An app that ran before the disk was full can be started again. Its marks tell whose it is.
        Err(error) if cid_kernel::fs::is_full(&error) => {
            let _ = fs::remove_file(&temporary);
            Ok(())
        }
        Err(error) => Err(Fault::io("write", &temporary, error)),
    }
}
