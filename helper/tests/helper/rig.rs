//! A helper without a launcher, and ways to look at processes.

use cid_kernel::reaper::Process;
use cid_protocol::{
    frame::{Frame, Start, Terminal},
    request::{Ask, Request},
    wire::Answer,
};
use std::{
    env, fs,
    io::{BufRead, BufReader, PipeWriter, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// The binary under test, beside which tests of all packages are built.
pub fn binary() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.parent().unwrap().with_file_name("cid-helper")
}

/// A helper that a test holds the pipes of.
pub struct Helper {
    pub child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// All lines that its requests put out.
    pub lines: Vec<String>,
}

/// What a request came to: its reply, or message and hint.
pub type Told<T> = Result<T, (String, String)>;

impl Helper {
    pub fn start(lock: &Path) -> Self {
        Self::start_by(Command::new(binary()), lock)
    }

    /// `command` ends up executing the binary with the arguments it is given.
    pub fn start_by(mut command: Command, lock: &Path) -> Self {
        let mut child = command
            .args([
                "serve",
                "--job",
                "01900000-0000-7000-8000-000000000001",
                "--lock",
            ])
            .arg(lock)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (
            child.stdin.take(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        Self {
            child,
            input,
            output,
            lines: Vec::new(),
        }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn send(&mut self, request: &Request) {
        let mut text = serde_json::to_vec(request).unwrap();
        text.push(b'\n');
        self.input.as_mut().unwrap().write_all(&text).unwrap();
    }

    pub fn ask<A: Ask>(&mut self, request: A) -> Told<A::Reply> {
        self.send(&request.into_request());
        self.finish()
            .map(|reply| serde_json::from_value(reply).unwrap())
    }

    /// Reads until the request sent last is answered.
    pub fn finish(&mut self) -> Told<serde_json::Value> {
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            match serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")) {
                Answer::Line(line) => self.lines.push(line),
                Answer::Reply(reply) => return Ok(reply),
                Answer::Fault { message, hint, .. } => {
                    return Err((message, hint.unwrap_or_default()));
                }
            }
        }
    }

    /// What the daemon's death looks like to it.
    pub fn close_input(&mut self) {
        self.input = None;
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.close_input();
        let _ = self.child.wait();
    }
}

/// Waits until something holds.
pub fn eventually(what: &str, limit: Duration, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn is_alive(pid: i32) -> bool {
    Process::read(pid).is_some_and(|process| !process.ended)
}

/// The number that somebody wrote, once it is there.
pub fn pid_in(file: &Path) -> i32 {
    let read = || {
        fs::read_to_string(file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
    };
    eventually("a pid is written", Duration::from_secs(10), || {
        read().is_some()
    });
    read().unwrap()
}

/// A shell line that begins a session of its own, forks twice, and goes on for long; the last
/// process's number is written to `file`.
pub fn runaway(file: &Path) -> String {
    let file = file.display();
    format!("(setsid sh -c '(sleep 300 & echo $! > {file}.tmp; mv {file}.tmp {file}) &' &)")
}

/// An input for `cid-helper run` that has it run this, without a terminal and with no further input.
pub fn to_run(words: &[&str]) -> Stdio {
    to_run_on(words, None).0
}

/// The same, on a terminal, until the writer is dropped.
pub fn to_run_on(words: &[&str], terminal: Option<Terminal>) -> (Stdio, PipeWriter) {
    let command = words.iter().map(|&word| word.into()).collect();
    let start = Start {
        env: Default::default(),
        command: Some(command),
        terminal,
    };
    let (reader, mut writer) = std::io::pipe().unwrap();
    let frame = Frame::Start(start).encode().unwrap();
    writer.write_all(&frame).unwrap();
    (reader.into(), writer)
}

/// Whether tests may change users and mounts.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
