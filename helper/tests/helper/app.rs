//! A workspace's processes and commands.

use crate::rig::{binary, eventually, is_alive, pid_in, to_run};
use cid_kernel::reaper::Process;
use cid_protocol::run_file::{ProcessCommand, RunFile};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Writes a run file whose processes are shell lines, except `arguments`.
pub fn run_file(dir: &Path, processes: &[(&str, &str)]) -> PathBuf {
    let shell = |(name, line): &(&str, &str)| {
        (
            (*name).to_owned(),
            ProcessCommand::Shell((*line).to_owned()),
        )
    };
    let mut processes: BTreeMap<_, _> = processes.iter().map(shell).collect();
    processes.insert(
        "arguments".into(),
        ProcessCommand::Arguments(vec!["echo".into(), "$HOME".into(), "a b".into()]),
    );
    let file = RunFile {
        web_socket: None,
        unit: "pressa.anna---example-com".into(),
        dir: dir.into(),
        env: BTreeMap::from([
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("COLOUR".into(), "red".into()),
        ]),
        network: BTreeMap::new(),
        processes,
        pid_dir: dir.into(),
        made_from: Default::default(),
        run_as: None,
    };
    let path = dir.join("run.json");
    fs::write(&path, serde_json::to_vec(&file).unwrap()).unwrap();
    path
}

fn app(run_file: &Path, process: &str) -> Command {
    let mut command = Command::new(binary());
    command.arg("app").arg(run_file).arg(process);
    command
}

/// Its input is what to run, and then what it is given.
fn run(run_file: &Path, line: &str) -> Command {
    let mut command = Command::new(binary());
    command.arg("run").arg(run_file);
    command.stdin(to_run(&["sh", "-c", line]));
    command
}

#[test]
fn a_process_is_what_the_run_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = run_file(
        dir.path(),
        &[("web", "env | sort; umask; pwd; ps -o pid=,sid= $$")],
    );
    let child = app(&file, "web")
        .env("SECRET", "x")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<&str> = output.lines().collect();
    let here = dir.path().display().to_string();
    assert!(
        lines.contains(&"CID_PROCESS=web") && lines.contains(&"COLOUR=red"),
        "{output}"
    );
    assert!(!output.contains("SECRET"));
    assert!(
        lines.contains(&"0007") && lines.contains(&here.as_str()),
        "{output}"
    );
    let session: Vec<u32> = lines
        .last()
        .unwrap()
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(session[0], pid, "it executes, it does not fork");
    assert_ne!(session[1], pid, "the session is supervisord's");
    let output = app(&file, "arguments").output().unwrap();
    assert_eq!(output.stdout, b"$HOME a b\n", "no shell has a say");
}

#[test]
fn a_process_says_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = app(&run_file(dir.path(), &[("web", "exec sleep 300")]), "web")
        .spawn()
        .unwrap();
    let pid_file = dir.path().join("pressa.anna---example-com.web");
    eventually("it is written", Duration::from_secs(5), || {
        pid_file.exists()
    });
    let start = Process::read(child.id().cast_signed()).unwrap().start;
    assert_eq!(
        fs::read_to_string(pid_file).unwrap(),
        format!("{} {start}\n", child.id())
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_process_that_cannot_be_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let output = app(&run_file(dir.path(), &[("web", "true")]), "worker")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("cannot start worker: pressa.anna---example-com has only arguments, web"),
        "{text}"
    );
}

#[test]
fn a_command_gives_its_status_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = run_file(dir.path(), &[]);
    let pid_file = dir.path().join("pid");
    let runaway = crate::rig::runaway(&pid_file);
    let wait = format!("while ! [ -e {} ]; do sleep 0.01; done", pid_file.display());
    let output = run(&file, &format!("{runaway}; {wait}; echo $COLOUR; exit 7"))
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), &*output.stdout),
        (Some(7), &b"red\n"[..])
    );
    assert!(!is_alive(pid_in(&pid_file)));
    assert_eq!(run(&file, "kill -9 $$").status().unwrap().code(), Some(137));
}

#[test]
fn a_command_ends_with_its_runner() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let line = format!("{}; sleep 300", crate::rig::runaway(&pid_file));
    let mut child = run(&run_file(dir.path(), &[]), &line).spawn().unwrap();
    let runaway = pid_in(&pid_file);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!is_alive(runaway));
}

#[test]
fn a_command_ends_with_the_person_who_called_it() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let file = run_file(dir.path(), &[]);
    let line = format!("{} run {}; true", binary().display(), file.display());
    let written = format!("echo $$ > {}; sleep 300", pid_file.display());
    let mut terminal = Command::new("sh");
    terminal.args(["-c", &line]);
    terminal.stdin(to_run(&["sh", "-c", &written]));
    let mut terminal = terminal.spawn().unwrap();
    let command = pid_in(&pid_file);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    eventually("the command is dead", Duration::from_secs(5), || {
        !is_alive(command)
    });
}
