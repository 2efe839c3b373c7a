//! Runs programs other than helpers: nginx, supervisord, the front. Each gets a clean environment, no input,
//! a time limit and bounded output.

use cid_protocol::{
    environment::PATH,
    fault::{Fault, FaultContext},
};
use std::{ffi::OsStr, fs::OpenOptions, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

/// How much of each stream is kept. The rest is read and discarded, so that the program does not block.
const OUTPUT_LIMIT: u64 = 64 * 1024;
/// A program in the background may hold the streams open.
const STREAMS_AFTER_EXIT: Duration = Duration::from_millis(500);

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// The first 64 KiB of its standard output.
    pub stdout: String,
    /// The first 64 KiB of its standard error.
    pub stderr: String,
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be started, or it has not ended within `limit`; it is then killed.
pub async fn output(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    limit: Duration,
) -> Result<Output, Fault> {
    let program = program.as_ref();
    let name = program.to_string_lossy();
    let mut child = command(program, args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Ctrl-C in the terminal is for the daemon alone.
        .process_group(0)
        .spawn()
        .map_err(|error| cannot_start(program, &error))?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let streams = (child.stdout.take(), child.stderr.take());
    let status = {
        let reading =
            async { tokio::join!(read(streams.0, &mut stdout), read(streams.1, &mut stderr)) };
        tokio::pin!(reading);
        let ending = async {
            tokio::select! {
                _ = &mut reading => child.wait().await,
                status = child.wait() => {
                    // The rest belongs to a process in the background.
                    drop(tokio::time::timeout(STREAMS_AFTER_EXIT, &mut reading).await);
                    status
                }
            }
        };
        tokio::time::timeout(limit, ending).await
    };
    let status = status
        .map_err(|_| {
            Fault::new(format!(
                "cannot run {name}: not done within {} s, stopped",
                limit.as_secs()
            ))
        })?
        .cannot(format_args!("wait for {name}"))?;
    Ok(Output {
        status: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    })
}

/// Starts a program in a session of its own, so that it outlives the daemon. Its output overwrites `log`.
///
/// # Errors
/// It cannot be started.
pub fn spawn_detached(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    env: &[(&str, &OsStr)],
    log: &Path,
) -> Result<Child, Fault> {
    let program = program.as_ref();
    let log_file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(log)
        .map_err(|error| Fault::io("open", log, error))?;
    let second = log_file
        .try_clone()
        .map_err(|error| Fault::io("open", log, error))?;
    // setsid(1) becomes the program in place: a new session without unsafe code.
    command(OsStr::new("setsid"), [program])
        .args(args)
        .envs(env.iter().copied())
        .stdout(log_file)
        .stderr(second)
        .spawn()
        .map_err(|error| cannot_start(program, &error))
}

/// Finds a program as [`output`] and [`spawn_detached`] do.
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    PATH.split(':')
        .map(|dir| Path::new(dir).join(program))
        .find(|path| path.is_file())
}

#[expect(clippy::disallowed_methods, reason = "one of the few doors")]
fn command(program: &OsStr, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

async fn read(stream: Option<impl AsyncRead + Unpin>, buffer: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    // A stream that fails has ended; what came before it counts.
    if (&mut stream)
        .take(OUTPUT_LIMIT)
        .read_to_end(buffer)
        .await
        .is_ok()
    {
        drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
    }
}

fn cannot_start(program: &OsStr, error: &std::io::Error) -> Fault {
    Fault::new(format!(
        "cannot start {}: {error}",
        program.to_string_lossy()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    #[tokio::test]
    async fn gives_status_and_both_streams() {
        let output = output(
            "sh",
            ["-c", "echo out; echo err >&2; exit 3"],
            Duration::from_secs(5),
        )
        .await
        .unwrap();
        assert_eq!(output.status, Some(3));
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
    }

    #[tokio::test]
    async fn inherits_nothing() {
        let output = output("env", [""; 0], Duration::from_secs(5))
            .await
            .unwrap();
        let mut names: Vec<_> = output
            .stdout
            .lines()
            .filter_map(|line| line.split('=').next())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["LANG", "PATH"]);
    }

    #[tokio::test]
    async fn stops_at_the_limit() {
        let fault = output("sleep", ["60"], Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(fault.message.contains("not done within"), "{fault}");
    }

    #[tokio::test]
    async fn keeps_a_bounded_part_of_the_output() {
        let output = output(
            "sh",
            ["-c", "yes | head -c 1000000"],
            Duration::from_secs(10),
        )
        .await
        .unwrap();
        assert_eq!(output.status, Some(0));
        assert_eq!(output.stdout.len() as u64, OUTPUT_LIMIT);
    }

    #[tokio::test]
    async fn does_not_wait_for_what_went_into_the_background() {
        let output = output("sh", ["-c", "sleep 300 & echo $!"], Duration::from_secs(60))
            .await
            .unwrap();
        let pid = Pid::from_raw(output.stdout.trim().parse().unwrap());
        // The program still runs.
        kill(pid, Signal::SIGKILL).unwrap();
    }
}
