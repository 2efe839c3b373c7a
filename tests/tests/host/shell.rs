//! A person's shell in a workspace on a host, and what others see of what people run there.

use crate::stage::{cid, create, soon, user_of, words};
use cid_testkit::{Dialogue, host::Host};
use serde_json::{Value, json};
use std::process::Stdio;

/// A command that says when it is at work: what the shell shows of it looks otherwise.
const AT_WORK: &str = "sh -c 'trap \"exit 5\" INT; echo rea\"\"dy; while :; do sleep 0.1; done'\n";
/// The same to be stopped. It starts nothing: what is stopped between vfork and exec keeps its parent going.
const TO_STOP: &str = "sh -c 'echo rea\"\"dy; exec sleep 600'\n";
const EMAIL: &str = "anna@example.com";

fn talk(host: &Host, who: &str, command: &[&str], steps: &Value) -> Dialogue {
    let words = Dialogue::words(steps, command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Dialogue::of(&host.run_as(who, &words).unwrap()).unwrap()
}

#[test]
fn a_shell_is_the_workspaces_users_and_reaches_its_own_terminal_alone() {
    let Some(host) = cid() else { return };
    create(&host, EMAIL);
    let user = user_of(&host, "anna---example-com");
    let steps = json!([
        ["expect", "guestbook.anna---example-com"],
        ["expect", "$ "],
        ["send", "stty size; id -un\n"],
        ["expect", "33 120\r\n"],
        ["expect", user],
        ["size", 12, 77],
        ["send", "sleep 0.3; stty size\n"],
        ["expect", "12 77\r\n"],
        ["send", "stat -c %U $(tty); pwd\n"],
        ["expect", user],
        ["expect", "anna---example-com/src\r\n"],
        [
            "send",
            "git config user.email; git commit -q --allow-empty -m x && echo comm''itted\n"
        ],
        ["expect", EMAIL],
        ["expect", "committed\r\n"],
        ["send", "python3 -c 'import django; print(1 + 41)'\n"],
        ["expect", "42\r\n"],
        ["send", AT_WORK],
        ["expect", "ready\r\n"],
        ["send", "\u{3}"],
        ["send", "echo ended $?\n"],
        ["expect", "ended 5\r\n"],
        ["send", TO_STOP],
        ["expect", "ready\r\n"],
        ["send", "\u{1a}"],
        ["expect", "Stopped"],
        ["send", "kill -9 %1; sleep 1; wait\n"],
        ["send", "echo > /dev/tty && echo o''wn\n"],
        ["expect", "own\r\n"],
        ["send", "exit 7\n"],
    ]);
    let talked = talk(&host, "anna", &["cictl", "shell", EMAIL], &steps);
    assert_eq!(talked.status, Some(7), "{}", talked.written);
    assert!(talked.restored);
    let audit = [
        "journalctl",
        "--unit=cid",
        "--output=cat",
        "TARGET=audit",
        "PROGRAM=shell",
    ];
    soon("it is in the audit", || {
        !host.run(&audit).unwrap().stdout.is_empty()
    });

    // Nobody else may, and with no terminal it says what to do.
    let refused = host.run_as("anna", &["cictl", "shell", EMAIL]).unwrap();
    assert!(
        words(&refused).contains("ssh -t HOST cictl shell"),
        "{refused}"
    );
    let talked = talk(
        &host,
        "bob",
        &["cictl", "shell", EMAIL],
        &json!([["expect", "org.cid.run"]]),
    );
    assert_eq!(talked.status, Some(4), "{}", talked.written);
}

#[test]
fn two_people_in_one_workspace_have_a_terminal_each() {
    let Some(host) = cid() else { return };
    create(&host, EMAIL);
    let shell = ["cictl", "shell", EMAIL];
    let hold = json!([
        ["send", "tty > ../home/tty; exec sleep 451\n"],
        ["pause", 30]
    ]);
    let words_of = Dialogue::words(&hold, &shell);
    let words_of: Vec<&str> = words_of.iter().map(String::as_str).collect();
    let mut other = host.command(&words_of).unwrap();
    let mut other = other
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let named = "/srv/cid/guestbook/anna---example-com/home/tty";
    soon("the other has a terminal", || {
        host.read(named)
            .is_ok_and(|name| name.starts_with("/dev/pts/"))
    });
    let attack = "t=$(cat ../home/tty); echo x > $t && echo wr''ote; (: < $t) && echo re''ad; ls /dev/pts && echo li''sted; \
         echo seen=$(pgrep -xf 'sleep 451') do''ne\n";
    let steps = json!([
        ["expect", "$ "],
        ["send", attack],
        ["expect", "seen= done\r\n"],
        ["send", "exit 0\n"]
    ]);
    let talked = talk(&host, "anna", &["cictl", "shell", EMAIL], &steps);
    for word in ["wrote\r\n", "read\r\n", "listed\r\n"] {
        assert!(!talked.written.contains(word), "{}", talked.written);
    }
    // The client that is killed takes its shell with it.
    let kill = ["pkill", "--signal", "KILL", "--full", "^cictl shell"];
    host.run(&kill).unwrap().ok().unwrap();
    soon("the other has ended", || {
        host.run(&["pgrep", "-xf", "sleep 451"])
            .unwrap()
            .stdout
            .is_empty()
    });
    other.kill().unwrap();
    other.wait().unwrap();
}

/// What is in the arguments of a command is its own and its caller's alone to show.
#[test]
fn arguments_are_in_no_log_and_no_other_command_line() {
    let Some(host) = cid() else { return };
    create(&host, EMAIL);
    create(&host, "bob@example.com");
    let secret = "Zq7-not-for-logs";
    let line = format!("read wait; : {secret}");
    let mut client = host
        .command(&["cictl", "run", EMAIL, "--", "sh", "-c", &line])
        .unwrap();
    let mut client = client.stdin(Stdio::piped()).spawn().unwrap();
    let own = ["pgrep", "--full", "--list-full", "^sh -c read wait"];
    soon("it runs", || {
        host.run(&own).unwrap().stdout.contains(secret)
    });
    let sh = |line: &str| host.run(&["sh", "-c", line]).unwrap().stdout;
    let units = sh("systemctl list-units --plain --no-legend 'cid-run-*' | cut -d' ' -f1");
    assert!(units.trim().ends_with(".service"), "{units}");
    for look in [
        "systemctl show 'cid-run-*'",
        "systemctl cat 'cid-run-*'",
        "systemctl status --full --no-pager --lines=0 cid cid-supervisor",
        "cat /run/systemd/transient/cid-run-*",
        "journalctl --no-pager --all --output=json",
        "cictl audit; cictl -o json audit",
        "grep -rah Zq7 /run/cid /run/systemd /var/log /var/lib/cid",
    ] {
        assert!(!sh(look).contains(secret), "{look}");
    }
    let with_it = sh("ps -eo args | grep Zq7 | grep -v grep");
    assert!(
        with_it
            .lines()
            .all(|line| line.starts_with("sh -c read wait") || line.contains("cictl run")),
        "{with_it}"
    );
    // Who runs code in another workspace sees no process of this one.
    let seen = host
        .run(&["cictl", "run", "bob@example.com", "--", "ps", "-eo", "args"])
        .unwrap();
    assert!(
        seen.stdout.contains("ps -eo") && !seen.stdout.contains(secret),
        "{seen}"
    );
    drop(client.stdin.take());
    client.wait().unwrap();
    let after = sh("journalctl --no-pager --all --output=json; cictl audit");
    assert!(!after.contains(secret));
}
