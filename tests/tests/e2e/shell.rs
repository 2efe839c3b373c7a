//! `cictl shell`, and `cictl run` on a terminal.

use crate::stage::{ANNA, SOON, Stage};
use cid_testkit::{Dialogue, run, wait_until};
use serde_json::{Value, json};
use std::{
    fs,
    process::{Command, Stdio},
};

/// A command that says when it is at work: what the shell shows of it looks otherwise.
const AT_WORK: &str = "sh -c 'trap \"exit 5\" INT; echo rea\"\"dy; while :; do sleep 0.1; done'\n";
/// The same to be stopped. It starts nothing: what is stopped between vfork and exec keeps its parent going.
const TO_STOP: &str = "sh -c 'echo rea\"\"dy; exec sleep 600'\n";
const PROMPT: &str = "hello.anna---example-com";

fn words(stage: &Stage, verb: &[&str]) -> Vec<String> {
    let cictl = stage.sandbox.cictl_command();
    let begin = std::iter::once(cictl.get_program()).chain(cictl.get_args());
    let begin = begin.map(|word| word.to_string_lossy().into_owned());
    begin.chain(verb.iter().map(|&word| word.into())).collect()
}

pub fn talk(stage: &Stage, verb: &[&str], steps: &Value) -> Dialogue {
    let cictl = words(stage, verb);
    let cictl: Vec<&str> = cictl.iter().map(String::as_str).collect();
    let words = Dialogue::words(steps, &cictl);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    Dialogue::of(&run(&mut command, 3 * SOON).unwrap()).unwrap()
}

#[test]
fn a_shell_is_at_home_in_the_workspace() {
    let stage = Stage::hello();
    stage.create(ANNA);
    let steps = json!([
        ["expect", PROMPT],
        ["expect", "$ "],
        ["send", "stty size; echo $TERM\n"],
        ["expect", "33 120\r\n"],
        ["expect", "xterm-256color\r\n"],
        ["size", 12, 77],
        ["send", "sleep 0.2; stty size\n"],
        ["expect", "12 77\r\n"],
        ["send", "pwd; git remote get-url origin\n"],
        ["expect", "/anna---example-com/src\r\n"],
        ["expect", "hello"],
        [
            "send",
            "echo x > x; git add x; git commit -qm by-anna; git log -1 --format='%an <%ae>'\n"
        ],
        ["expect", "anna <anna@example.com>"],
        ["send", AT_WORK],
        ["expect", "ready\r\n"],
        ["send", "\u{3}"],
        ["send", "echo ended $?\n"],
        ["expect", "ended 5\r\n"],
        ["send", TO_STOP],
        ["expect", "ready\r\n"],
        ["send", "\u{1a}"],
        ["expect", "Stopped"],
        [
            "send",
            "echo stopped=$(jobs -s | wc -l); kill -9 %1; wait\n"
        ],
        ["expect", "stopped=1\r\n"],
        // Stopped by somebody else, it leaves the terminal as it was, and takes it again.
        ["kill", "TSTP"],
        ["restored"],
        ["size", 7, 50],
        ["kill", "CONT"],
        ["send", "sleep 0.2; stty size\n"],
        ["expect", "7 50\r\n"],
        ["send", "exit 7\n"],
    ]);
    let talked = talk(&stage, &["shell", ANNA], &steps);
    assert_eq!(talked.status, Some(7), "{}", talked.written);
    assert!(talked.restored);
}

#[test]
fn it_takes_a_terminal_and_run_takes_one_where_it_has_one() {
    let stage = Stage::hello();
    stage.create(ANNA);
    let refused = stage.cictl_ends(2, &["shell", ANNA]);
    assert!(
        refused
            .stderr
            .contains("ssh -t HOST cictl shell anna@example.com"),
        "{refused}"
    );
    let ask = [
        "run",
        ANNA,
        "--",
        "sh",
        "-c",
        "test -t 0 && test -t 1 && tty",
    ];
    stage.cictl_ends(1, &ask);
    let blocked = ["run", ANNA, "--", "grep", "SigBlk", "/proc/self/status"];
    let blocked = stage.cictl_ends(0, &blocked).text();
    assert!(blocked.contains("0000000000000000"), "{blocked}");
    let talked = talk(&stage, &ask, &json!([["expect", "/dev/pts/"]]));
    assert_eq!(talked.status, Some(0), "{}", talked.written);
    // What is written to a file stays as the command writes it.
    let file = stage.sandbox.dir().join("written");
    let line = format!("\"$@\" > {}", file.display());
    let cictl = words(&stage, &["run", ANNA, "--", "printf", "a\\n"]);
    let shell = [vec!["sh".into(), "-c".into(), line, "sh".into()], cictl].concat();
    let shell: Vec<&str> = shell.iter().map(String::as_str).collect();
    let words = Dialogue::words(&json!([]), &shell);
    run(Command::new(&words[0]).args(&words[1..]), SOON)
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "a\n");
}

#[test]
fn the_terminal_is_given_back_whatever_happens() {
    let mut stage = Stage::hello();
    stage.create(ANNA);
    let daemon = stage.sandbox.pid().unwrap().to_string();
    for (number, end, status) in [
        (421, json!(["kill", "TERM"]), Some(143)),
        (422, json!(["kill", "HUP"]), Some(129)),
        (423, json!(["kill", "KILL"]), Some(137)),
        (424, json!(["hangup"]), None),
        (425, json!(["run", "kill", "-9", daemon]), None),
    ] {
        let sleep = format!("sleep {number}");
        // The shell's own echo, and then what only runs.
        let begin = format!("(trap '' HUP INT TERM; exec {sleep}) & echo be''gun\n");
        let steps = json!([
            ["expect", "$ "],
            ["send", begin],
            ["expect", "begun\r\n"],
            end
        ]);
        let talked = talk(&stage, &["shell", ANNA], &steps);
        if status.is_some() {
            assert_eq!(talked.status, status, "{end}");
        } else {
            assert_ne!(talked.status, Some(0), "{end}");
        }
        let can_be = !["KILL", "hangup"]
            .iter()
            .any(|word| end.to_string().contains(word));
        assert_eq!(talked.restored, can_be, "{end}");
        wait_until("all of it has ended", SOON, || {
            let listed = run(Command::new("pgrep").args(["-xf", &sleep]), SOON).unwrap();
            listed.stdout.is_empty().then_some(())
        })
        .unwrap_or_else(|error| panic!("{end}: {error}"));
    }
    stage.sandbox.kill_9().unwrap();
    stage.sandbox.start().unwrap();
}

#[test]
fn a_command_that_cid_ends_is_told_why() {
    let mut stage = Stage::hello();
    for (is_delete, status, why) in [
        (true, 5, "its workspace is being deleted"),
        (false, 6, "the daemon stops or is started anew"),
    ] {
        stage.create(ANNA);
        let mut command = stage.sandbox.cictl_command();
        command.args(["run", ANNA, "--", "sleep", "431"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_until("it runs", SOON, || {
            let listed = run(Command::new("pgrep").args(["-xf", "sleep 431"]), SOON).unwrap();
            (!listed.stdout.is_empty()).then_some(())
        })
        .unwrap();
        match is_delete {
            true => stage.delete(ANNA),
            false => drop(stage.sandbox.terminate().unwrap()),
        }
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(told.contains(why), "{told}");
        assert_eq!(ended.status.code(), Some(status), "{told}");
    }
    stage.sandbox.start().unwrap();
}
