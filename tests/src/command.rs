use crate::wait::wait_until;
use anyhow::{Context, Result, bail};
use std::{
    fmt,
    io::Read,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

/// How a command ended and what it said.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit status; 128 + signal when it was killed.
    pub status: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    command: String,
}

impl Output {
    /// Itself, if the command succeeded.
    ///
    /// # Errors
    /// It did not; the message holds everything it said.
    pub fn ok(self) -> Result<Self> {
        self.status(0)
    }

    /// Itself, if the command ended with this status.
    ///
    /// # Errors
    /// It ended with another; the message holds everything it said.
    pub fn status(self, wanted: i32) -> Result<Self> {
        if self.status != wanted {
            bail!("expected exit status {wanted}: {self}");
        }
        Ok(self)
    }

    /// Standard output as one JSON document.
    ///
    /// # Errors
    /// It is not a JSON document.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not one JSON document: {self}"))
    }

    /// Standard output and standard error together, for looking for words.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            stdout,
            stderr,
            command,
        } = self;
        write!(f, "`{command}` ended with {status}")?;
        for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
            if !text.trim().is_empty() {
                write!(f, "\n--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// Runs a command without standard input, for at most `limit`.
///
/// # Errors
/// It cannot be started, or did not end in time and was killed.
pub fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    let shown = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let ended = wait_until(&format!("`{shown}` to end"), limit, || {
        child.try_wait().transpose()
    });
    if ended.is_err() {
        child
            .kill()
            .with_context(|| format!("cannot kill `{shown}`"))?;
        child.wait()?;
    }
    let output = |status| Output {
        status,
        stdout: collect(stdout),
        stderr: collect(stderr),
        command: shown,
    };
    match ended {
        Ok(status) => Ok(output(code(status?))),
        Err(error) => Err(error.context(output(-1).to_string())),
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A broken pipe ends the output as well as its end does.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn collect(reader: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_it_ended() {
        let output = run(
            Command::new("sh").args(["-c", "echo a; echo b >&2; exit 3"]),
            MINUTE,
        );
        let output = output.unwrap();
        assert_eq!(
            (
                output.status,
                output.stdout.as_str(),
                output.stderr.as_str()
            ),
            (3, "a\n", "b\n")
        );
        assert!(output.ok().is_err());
    }

    #[test]
    fn does_not_wait_for_ever() {
        let error = run(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert!(format!("{error:#}").contains("in vain"), "{error:#}");
    }

    const MINUTE: Duration = Duration::from_secs(60);
}
