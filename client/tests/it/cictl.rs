//! The command itself: what it prints where, and how it exits.

use crate::daemon::{Daemon, URL};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

fn command(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cictl"));
    command
        .env("CID_SOCKET", socket)
        .stdin(Stdio::null())
        .args(args);
    command
}

fn cictl(daemon: &Daemon, args: &[&str]) -> Output {
    command(daemon.socket(), args).output().unwrap()
}

fn code(daemon: &Daemon, args: &[&str]) -> i32 {
    cictl(daemon, args).status.code().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn documents(bytes: &[u8]) -> Vec<Value> {
    let parsed = text(bytes).lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_exit_status_says_why() {
    let daemon = Daemon::start();
    let create = |email| code(&daemon, &["create", email]);
    assert_eq!(create("good@example.com"), 0);
    assert_eq!(create("bad@example.com"), 1);
    assert_eq!(create("stuck@example.com"), 1);
    assert_eq!(create("crash@example.com"), 1);
    assert_eq!(create("nonsense"), 2);
    assert_eq!(create("nobody@example.com"), 3);
    assert_eq!(create("mallory@example.com"), 4);
    assert_eq!(create("taken@example.com"), 5);
    assert_eq!(code(&daemon, &["restart", "good@example.com"]), 5);
    assert_eq!(code(&daemon, &["jobs", "cancel", "good"]), 5);
    assert_eq!(code(&daemon, &["jobs", "retry", "retried"]), 0);
    assert_eq!(code(&daemon, &["nonsense"]), 2);
    assert_eq!(code(&daemon, &["project", "check"]), 1);
    assert_eq!(code(&daemon, &["doctor"]), 1);
    assert_eq!(code(&daemon, &["doctor", "--repair"]), 0);
}

#[test]
fn what_is_asked_for_is_shown_and_what_is_not_there_is_said() {
    let daemon = Daemon::start();
    let checked = cictl(&daemon, &["project", "check", "shop", "blog"]);
    assert_eq!(checked.status.code(), Some(1));
    let checked = text(&checked.stdout);
    assert!(
        checked.contains("shop: remote") && checked.contains("blog: remote"),
        "{checked}"
    );
    let listed = cictl(&daemon, &["project", "list"]);
    assert_eq!(text(&listed.stdout), "");
    let said = text(&listed.stderr);
    assert!(
        said.contains("no projects") && said.contains("project init"),
        "{said}"
    );
    let doctor = |args: &[&str]| text(&cictl(&daemon, args).stdout).to_owned();
    let found = doctor(&["doctor"]);
    assert!(
        found.contains("vhost") && found.contains("[note] packages"),
        "{found}"
    );
    let found = doctor(&["doctor", "--no-notes"]);
    assert!(
        found.contains("vhost") && !found.contains("packages"),
        "{found}"
    );
}

#[test]
fn a_repair_of_nobodys_access_is_told_of_all() {
    let nowhere = Path::new("/nowhere/cid.sock");
    for args in [
        &["access", "repair"][..],
        &["access", "repair", "a@b.org", "--all"],
    ] {
        let output = command(nowhere, args).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--all") && said.contains("EMAIL"), "{said}");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("cid.sock");
    let output = command(&socket, &["list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let stderr = text(&output.stderr);
    let reason = format!(
        "error: cannot reach the daemon at {}: there is no such socket\nhint: ",
        socket.display()
    );
    assert!(stderr.starts_with(&reason), "{stderr}");
    assert!(!stderr.contains('\x1b'), "{stderr}");
}

#[test]
fn create_prints_progress_here_and_the_address_there() {
    let daemon = Daemon::start();
    let output = cictl(&daemon, &["create", "good@example.com"]);
    assert_eq!(text(&output.stdout), format!("{URL}\n"));
    assert_eq!(
        text(&output.stderr),
        "[ok] clone the repository  0.12s\nready after 3.00s\n"
    );
}

#[test]
fn a_failed_job_shows_step_output_and_hint() {
    let daemon = Daemon::start();
    let output = cictl(&daemon, &["create", "bad@example.com"]);
    let stderr = text(&output.stderr);
    assert!(output.stdout.is_empty());
    assert!(
        stderr.contains(
            "error: cannot install dependencies: exit status 1\nstep: install dependencies\n\
             output:\n  | no such package\nhint: look at requirements.txt\n"
        ),
        "{stderr}"
    );
}

#[test]
fn json_is_events_then_one_document() {
    let daemon = Daemon::start();
    let output = cictl(&daemon, &["-o", "json", "create", "good@example.com"]);
    let documents = documents(&output.stdout);
    assert_eq!(documents.len(), 6);
    assert_eq!(documents[3]["what"], "step");
    assert_eq!(documents[3]["took_seconds"], 0.12);
    let workspace = documents[5].as_object().unwrap();
    let mut names: Vec<&str> = workspace.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut expected = [
        "email",
        "project",
        "name",
        "state",
        "health",
        "url",
        "port",
        "directory",
        "branch",
        "branch_gone_at",
        "commit",
        "created_at",
        "job",
        "creator",
        "failed_deployment",
        "health_message",
        "health_since",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(workspace["state"], "ready");
    assert_eq!(workspace["health"], "up");
    assert_eq!(workspace["url"], URL);
    assert_eq!(workspace["commit"], Value::Null);
    assert!(output.stderr.is_empty());
}

#[test]
fn json_is_one_document_where_nobody_waits_or_asks_for_what_is() {
    let daemon = Daemon::start();
    for args in [
        &["create", "good@example.com", "--no-wait"][..],
        &["show", "good@example.com"],
        &["list"],
        &["jobs"],
        &["version"],
        &["delete", "good@example.com", "--yes", "--no-wait"],
    ] {
        let args = [args, &["-o", "json"]].concat();
        let output = cictl(&daemon, &args);
        assert_eq!(documents(&output.stdout).len(), 1, "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
    let listed = documents(&cictl(&daemon, &["list", "-o", "json"]).stdout);
    assert_eq!(listed[0].as_array().unwrap().len(), 3);
}

#[test]
fn errors_in_json_stand_on_standard_error() {
    let daemon = Daemon::start();
    let output = cictl(&daemon, &["-o", "json", "create", "taken@example.com"]);
    assert!(output.stdout.is_empty());
    let error = &documents(&output.stderr)[0]["error"];
    assert_eq!(error["kind"], "conflict");
    assert_eq!(error["conflict"]["url"], URL);
    assert_eq!(error["hint"], "try another way");

    let output = cictl(&daemon, &["-o", "json", "nonsense"]);
    assert_eq!(documents(&output.stderr)[0]["error"]["kind"], "invalid");
}

#[test]
fn delete_without_a_terminal_wants_yes_and_names_lost_work() {
    let daemon = Daemon::start();
    assert_eq!(code(&daemon, &["delete", "good@example.com"]), 2);
    let output = cictl(&daemon, &["delete", "dirty@example.com", "--yes"]);
    assert_eq!(output.status.code(), Some(5));
    let stderr = text(&output.stderr);
    // What helps the daemon says, and nobody else.
    for part in [
        "  app/views.py\n",
        "  a1b2c3d Fix it\n",
        "hint: try another way",
    ] {
        assert!(stderr.contains(part), "{stderr}");
    }
    assert_eq!(stderr.matches("hint:").count(), 1, "{stderr}");
    let output = cictl(
        &daemon,
        &["delete", "dirty@example.com", "--yes", "--discard"],
    );
    assert_eq!(text(&output.stdout), "deleted anna@example.com in pressa\n");
}

#[test]
fn run_passes_everything_through() {
    let daemon = Daemon::start();
    let mut child = command(
        daemon.socket(),
        &["run", "good@example.com", "--", "wc", "-l"],
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    child.stdin.take().unwrap().write_all(b"in\xff\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"in\xff\n");
    assert_eq!(output.stderr, b"wc -l");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let daemon = Daemon::start();
    let mut child = command(daemon.socket(), &["logs", "good@example.com"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert_eq!(line, "web      | line 0\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(141));
}

#[test]
fn an_interrupt_detaches_and_names_the_job() {
    let daemon = Daemon::start();
    daemon.memory.lock().unwrap().silent_after = Some(2);
    let child = command(daemon.socket(), &["create", "good@example.com"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    daemon.wait_until(|memory| !memory.watched_after.is_empty());
    std::thread::sleep(std::time::Duration::from_millis(200));
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(
        text(&output.stderr),
        "detached; the job goes on: cictl jobs watch good\n"
    );
}

#[test]
fn init_needs_no_daemon() {
    let args = [
        "project",
        "init",
        "pressa",
        "--url",
        "/srv/pressa.git",
        "--domain",
        "p.localhost",
    ];
    let output = command(Path::new("/nonexistent"), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("\nurl = \"/srv/pressa.git\"\n"));
}

#[test]
fn the_audit_log_says_who_was_denied_what_and_why() {
    let daemon = Daemon::start();
    let output = cictl(&daemon, &["audit", "--since", "2h", "-n", "1"]);
    let human = text(&output.stdout);
    assert!(human.starts_with("TIME "), "{human}");
    let line = "anna (1000)  Workspaces/Delete  bert@example.com in shop  denied    PERMISSION_DENIED  -    no";
    assert!(human.contains(line), "{human}");
    let output = cictl(&daemon, &["audit", "-o", "json"]);
    let lines = &documents(&output.stdout)[0];
    assert_eq!(lines[0]["decision"], "denied");
    assert_eq!(lines[0]["job"], Value::Null);
    assert_eq!(code(&daemon, &["audit", "--since", "yesterday"]), 2);
}

#[test]
fn only_an_interactive_client_says_that_it_is() {
    let daemon = Daemon::start();
    let reason = |args: &[&str]| documents(&cictl(&daemon, args).stdout)[0][0]["reason"].clone();
    assert_eq!(reason(&["audit", "-o", "json"]), "no");
    assert_eq!(
        reason(&["audit", "-o", "json", "--interactive"]),
        "dismissed"
    );
}
