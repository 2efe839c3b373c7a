//! Starts one program, passes its output on line by line, and leaves nothing of it behind.

use crate::{Lines, identity};
use cid_kernel::reaper;
use cid_protocol::{
    environment::Environment,
    fault::{Fault, FaultContext},
    wire::MAX_LINE,
};
use std::{
    ffi::{OsStr, OsString},
    io::{self, BufRead, BufReader},
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

/// How long leftovers of a command that has ended may take to die.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(5);

/// The job that all commands belong to. It marks them, so that they are found after this process was killed
/// and they are orphans.
static JOB: OnceLock<String> = OnceLock::new();

/// Marks all commands from now on.
pub(super) fn mark(job: uuid::Uuid) {
    // Set once: a helper serves one job.
    let _ = JOB.set(job.to_string());
}

/// True once this process is about to exit: nothing may be started any more.
static CLOSED: Mutex<bool> = Mutex::new(false);

/// Forbids all further starts; waits for one under way.
pub(super) fn close() {
    *CLOSED.lock().unwrap_or_else(PoisonError::into_inner) = true;
}

/// Who decides what a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// A repository's, or a package's: it is confined.
    Untrusted,
    /// The machine's own packages' and its operator's.
    Machines,
}

/// Runs a program in its own process group with exactly this environment and no input; its output
/// and error output are passed on as they come. Whatever it started and left behind is killed.
///
/// # Errors
/// It cannot be found or started. That it fails is no error.
pub(super) fn run(
    code: Code,
    argv: &[OsString],
    env: &Environment,
    dir: &Path,
    lines: Lines,
) -> Result<ExitStatus, Fault> {
    run_sparing(code, argv, env, dir, lines, &|_| false)
}

/// The same, but these processes it may leave behind.
fn run_sparing(
    code: Code,
    argv: &[OsString],
    env: &Environment,
    dir: &Path,
    lines: Lines,
    spared: &dyn Fn(i32) -> bool,
) -> Result<ExitStatus, Fault> {
    let (name, arguments) = argv
        .split_first()
        .ok_or_else(|| Fault::new("cannot run an empty command"))?;
    let program = find(name, env, dir)?;
    let (reader, writer) = io::pipe().cannot("make a pipe")?;
    let mut command = Command::new(&program);
    command
        .arg0(name)
        .args(arguments)
        .env_clear()
        .envs(env)
        .envs(JOB.get().map(|job| (reaper::JOB_MARK, job.as_str())))
        .current_dir(dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().cannot("copy a pipe")?)
        .stderr(writer);
    let closed = CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
    if *closed {
        return Err(Fault::cancelled());
    }
    let spawned = match code {
        Code::Untrusted => spawn_confined(&mut command)?,
        Code::Machines => command.spawn(),
    };
    let is_program = spawned.as_ref().map_or_else(is_startable, |_| true);
    let mut child = spawned
        .cannot(format!("run {} in {}", program.display(), dir.display()))
        .map_err(|fault| Fault {
            no_program: !is_program,
            ..fault
        })?;
    drop(closed);
    // The command holds the pipe's writing end: with it, the reader would never see the end.
    drop(command);
    thread::scope(|scope| {
        let output = scope.spawn(|| read_lines(BufReader::new(reader), lines));
        let status = child
            .wait()
            .cannot(format!("wait for {}", program.display()))?;
        // Before the output's end: a leftover may hold the pipe open for ever.
        let me = std::process::id().cast_signed();
        let gone =
            reaper::is_childless() || reaper::kill_descendants_but(me, LEFTOVER_LIMIT, spared);
        reaper::reap_orphans();
        if !gone {
            return Err(Fault::new(format!(
                "cannot end what {} left running",
                program.display()
            )));
        }
        let _ = output.join();
        Ok(status)
    })
}

/// Starts it from a thread that has given up the calls that the command must not make: this process itself
/// needs some of them.
fn spawn_confined(command: &mut Command) -> Result<io::Result<Child>, Fault> {
    thread::scope(|scope| {
        let starter = thread::Builder::new().spawn_scoped(scope, || {
            identity::restrain()?;
            Ok(command.spawn())
        });
        let ended = starter.cannot("start a thread")?.join();
        ended.unwrap_or_else(|_| Err(Fault::new("cannot confine a command")))
    })
}

/// Runs a program and collects its output, at most the first 400 lines.
pub(super) fn capture(
    code: Code,
    argv: &[OsString],
    env: &Environment,
    dir: &Path,
) -> Result<(ExitStatus, Vec<String>), Fault> {
    capture_sparing(code, argv, env, dir, &|_| false)
}

/// The same, but these processes it may leave behind.
pub(super) fn capture_sparing(
    code: Code,
    argv: &[OsString],
    env: &Environment,
    dir: &Path,
    spared: &dyn Fn(i32) -> bool,
) -> Result<(ExitStatus, Vec<String>), Fault> {
    collect(code, argv, env, dir, 400, spared)
}

/// The same with another bound.
pub(super) fn collect(
    code: Code,
    argv: &[OsString],
    env: &Environment,
    dir: &Path,
    most: usize,
    spared: &dyn Fn(i32) -> bool,
) -> Result<(ExitStatus, Vec<String>), Fault> {
    let collected = Mutex::new(Vec::new());
    let collect = |line: &str| {
        let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
        if collected.len() < most {
            collected.push(line.to_owned());
        }
    };
    let status = run_sparing(code, argv, env, dir, &collect, spared)?;
    Ok((
        status,
        collected
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
    ))
}

/// The exit status as a shell gives it: 128 + signal when killed.
pub(super) fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Finds a program as a shell would: a name with a slash is relative to `dir`, others are looked
/// up on the PATH of `env`, not on this process's own.
pub(super) fn find(name: &OsStr, env: &Environment, dir: &Path) -> Result<PathBuf, Fault> {
    if name.as_encoded_bytes().contains(&b'/') {
        return Ok(dir.join(name));
    }
    let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| dir.join(folder).join(name))
        .find(|candidate| is_program(candidate))
        .ok_or_else(|| Fault {
            no_program: true,
            ..Fault::new(format!(
                "cannot find the program {} on PATH",
                name.display()
            ))
            .hint(format!("PATH is {}", path.display()))
        })
}

/// Whether another attempt may start what could not be started: the machine has too much to do, and the file is right.
fn is_startable(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let is_of_the_file = matches!(
        error.kind(),
        Kind::NotFound | Kind::NotADirectory | Kind::PermissionDenied | Kind::IsADirectory
    ) || error.raw_os_error() == Some(nix::errno::Errno::ENOEXEC as i32);
    !is_of_the_file
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Passes lines on, each capped, without holding a longer one in memory.
fn read_lines(mut from: impl BufRead, lines: Lines) {
    let mut line = Vec::new();
    let mut pending = false;
    // A broken pipe is the end of output, too.
    while let Ok(chunk) = from.fill_buf() {
        if chunk.is_empty() {
            break;
        }
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        line.extend_from_slice(&part[..part.len().min(MAX_LINE - line.len())]);
        let used = part.len() + usize::from(end.is_some());
        pending = end.is_none();
        if end.is_some() {
            send(&line, lines);
            line.clear();
        }
        from.consume(used);
    }
    if pending {
        send(&line, lines);
    }
}

fn send(line: &[u8], lines: Lines) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut text = String::from_utf8_lossy(line).into_owned();
    // Each replaced byte became three.
    while text.len() > MAX_LINE {
        text.pop();
    }
    lines(&text);
}

#[cfg(test)]
mod tests {
    use crate::command::*;

    fn lines_of(bytes: &[u8]) -> Vec<String> {
        let got = Mutex::new(Vec::new());
        read_lines(BufReader::with_capacity(7, bytes), &|line| {
            got.lock().unwrap().push(line.to_owned());
        });
        got.into_inner().unwrap()
    }

    #[test]
    fn splits_lines_and_keeps_an_unfinished_one() {
        assert_eq!(
            lines_of(b"one\ntwo\r\n\nthree"),
            ["one", "two", "", "three"]
        );
        assert_eq!(lines_of(b""), [""; 0]);
    }

    #[test]
    fn caps_long_lines_and_replaces_what_is_no_text() {
        let mut bytes = vec![0xff; 3 * MAX_LINE];
        bytes.extend_from_slice(b"\nend\n");
        let lines = lines_of(&bytes);
        assert!(lines[0].len() <= MAX_LINE);
        assert_eq!(lines[1..], ["end"]);
    }

    #[test]
    fn looks_programs_up_on_the_given_path_only() {
        let env = Environment::from([("PATH".into(), "/nowhere".into())]);
        assert!(find(OsStr::new("sh"), &env, Path::new("/")).is_err());
        let env = Environment::from([("PATH".into(), "/nowhere:/bin".into())]);
        assert_eq!(
            find(OsStr::new("sh"), &env, Path::new("/")).unwrap(),
            Path::new("/bin/sh")
        );
    }
}
