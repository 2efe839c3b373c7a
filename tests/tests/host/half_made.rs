//! Accounts are completed or removed from whatever state a tool that was killed left them in.

use crate::{
    doctor::{is_broken_or_differs, is_well, run},
    stage::{cid, create, soon, status_of, user_of},
    workspaces::{WATCHED, accounts},
};
use cid_testkit::host::Host;

const ANNA: &str = "anna@example.com";
/// What takes a piece of the account USER away.
const PIECES: &[(&str, &str)] = &[
    ("there is no such user", "sed -i '/^USER:/d' /etc/passwd"),
    (
        "it has no line in /etc/shadow",
        "sed -i '/^USER:/d' /etc/shadow",
    ),
    (
        "it has no group of its own",
        "sed -i '/^USER:/d' /etc/group",
    ),
    (
        "its group has no line in /etc/gshadow",
        "sed -i '/^USER:/d' /etc/gshadow",
    ),
    (
        "it is not in the group cid-guestbook",
        "sed -i '/^cid-guestbook:/s/USER//' /etc/group",
    ),
    (
        "it is not in the group cid-guestbook",
        "sed -i '/^cid-guestbook:/s/USER//' /etc/gshadow",
    ),
];

/// All lines, in whatever order, without the day of a password's last change.
fn tables(host: &Host) -> Vec<String> {
    let all = accounts(host).concat();
    let undated = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.len() {
            9 => [&fields[..2], &fields[3..]].concat().join(":"),
            _ => line.to_owned(),
        }
    };
    let mut lines: Vec<String> = all.lines().map(undated).collect();
    lines.sort();
    lines
}

/// Puts a script in the place of a tool, which is called `TOOL.real` from then on.
fn wrap(host: &Host, tool: &str, script: &str) {
    let path = format!("/usr/sbin/{tool}");
    run(
        host,
        &format!("test -e {path}.real || mv {path} {path}.real"),
    );
    host.write(&path, format!("#!/bin/sh\n{script}\n"), 0o755)
        .unwrap();
}

fn unwrap(host: &Host, tool: &str) {
    run(
        host,
        &format!("mv -f /usr/sbin/{tool}.real /usr/sbin/{tool}"),
    );
}

fn delete(host: &Host) -> cid_testkit::Output {
    let args = ["cictl", "delete", "--yes", "--with-branch", ANNA];
    host.run(&args).unwrap()
}

#[test]
fn the_doctor_completes_an_account_whichever_piece_is_missing() {
    let Some(host) = cid() else { return };
    create(&host, ANNA);
    let user = user_of(&host, "anna---example-com");
    is_well(&host);
    let whole = tables(&host);
    for (told, script) in PIECES {
        run(&host, &script.replace("USER", &user));
        assert_ne!(tables(&host), whole, "{script}");
        is_broken_or_differs(
            &host,
            &format!("account {user}: {told}"),
            "--repair mends it",
        );
        run(&host, "cictl doctor --repair");
        assert_eq!(tables(&host), whole, "{script}");
        is_well(&host);
    }
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    delete(&host).ok().unwrap();
}

#[test]
fn pieces_of_an_account_of_no_workspace_are_removed() {
    let Some(host) = cid() else { return };
    is_well(&host);
    let before = tables(&host);
    for script in [
        "echo 'cidw-900:x:70899:70899:cid workspace:/nonexistent:/usr/sbin/nologin' >> /etc/passwd",
        "echo 'cidw-900:!:20786:0:99999:7::1:' >> /etc/shadow",
        "echo 'cidw-900:x:70899:' >> /etc/group",
        "echo 'cidw-900:!::' >> /etc/gshadow",
        "sed -i 's/^cid-guestbook:.*/&cidw-900/' /etc/group",
        "echo 'cidw-900:500000:65536' >> /etc/subuid",
    ] {
        run(&host, script);
        assert_ne!(tables(&host), before, "{script}");
        is_broken_or_differs(
            &host,
            "account cidw-900: no workspace has it",
            "--repair removes it",
        );
        run(&host, "cictl doctor --repair");
        assert_eq!(tables(&host), before, "{script}");
        is_well(&host);
    }
    // A group of the operator's is left alone.
    run(&host, "groupadd --gid 4711 cidw-901");
    is_broken_or_differs(
        &host,
        "account cidw-901: no workspace has it, and it is not as cid",
        "look whose",
    );
    host.run(&["cictl", "doctor", "--repair"]).unwrap();
    run(&host, "getent group cidw-901 && groupdel cidw-901");
    is_well(&host);
}

#[test]
fn files_that_killed_tools_left_stop_nobody() {
    let Some(host) = cid() else { return };
    let left = "printf 1 > /etc/passwd.lock; : > /etc/group.lock; echo x > /etc/shadow.4711; echo x > /etc/gshadow+";
    run(&host, left);
    for file in ["passwd.lock", "group.lock", "shadow.4711", "gshadow+"] {
        is_broken_or_differs(&host, &format!("file /etc/{file}"), "--repair removes it");
    }
    run(&host, "cictl doctor --repair");
    is_well(&host);
    // And without the doctor: a creation, a deletion, a start of the daemon.
    run(&host, left);
    create(&host, ANNA);
    is_well(&host);
    run(&host, left);
    delete(&host).ok().unwrap();
    is_well(&host);
    run(&host, &format!("{left}; systemctl restart cid"));
    is_well(&host);
}

/// A tool that is killed once, after it has done its work in part: `script` undoes the rest.
fn killed_once(host: &Host, tool: &str, script: &str) {
    let script = script.replace("USER", "$last").replace('\'', "\"");
    let lines = [
        "for last; do :; done",
        &format!("test -e /etc/killed && exec {tool}.real \"$@\""),
        "touch /etc/killed",
        &format!("test {tool} = userdel || {tool}.real \"$@\""),
        &script,
        "printf 1 > /etc/passwd.lock",
        "kill -KILL $$",
    ];
    wrap(host, tool, &lines.join("\n"));
}

fn was_killed(host: &Host, tool: &str) {
    run(host, "rm /etc/killed");
    unwrap(host, tool);
    is_well(host);
}

#[test]
fn a_create_whose_tool_is_killed_half_way_goes_on_from_there() {
    let Some(host) = cid() else { return };
    let before = tables(&host);
    for (_, script) in PIECES {
        killed_once(&host, "useradd", script);
        create(&host, ANNA);
        was_killed(&host, "useradd");
        assert_eq!(status_of(&host, "anna---example-com"), "200");
        delete(&host).ok().unwrap();
        assert_eq!(tables(&host), before, "{script}");
    }
}

#[test]
fn a_delete_whose_tool_is_killed_half_way_goes_on_from_there() {
    let Some(host) = cid() else { return };
    let (state, before) = (host.state(WATCHED).unwrap(), tables(&host));
    for (_, script) in PIECES {
        create(&host, ANNA);
        killed_once(&host, "userdel", script);
        delete(&host).ok().unwrap();
        was_killed(&host, "userdel");
        assert_eq!(tables(&host), before, "{script}");
    }
    host.assert_same(&state, WATCHED).unwrap();
}

#[test]
fn a_tool_at_work_ends_its_work_when_the_daemon_is_killed() {
    let Some(host) = cid() else { return };
    let (before, tables_before) = (host.state(WATCHED).unwrap(), tables(&host));
    let slow = "touch /etc/began; sleep 4; TOOL.real \"$@\" || exit; touch /etc/ended";
    let kill = || {
        soon("the tool works", || host.exists("/etc/began").unwrap());
        run(&host, "systemctl kill --signal=KILL --kill-whom=main cid");
        soon("the tool has ended", || host.exists("/etc/ended").unwrap());
        run(&host, "rm /etc/began /etc/ended");
    };
    let is_over = || {
        soon("the job is over", || {
            let jobs = host.run(&["cictl", "jobs", "list"]).unwrap();
            let live = ["running", "queued", "undoing", "stuck"];
            jobs.status == 0 && !live.iter().any(|state| jobs.stdout.contains(state))
        });
    };
    wrap(&host, "useradd", &slow.replace("TOOL", "useradd"));
    run(&host, &format!("cictl create --no-wait {ANNA}"));
    kill();
    unwrap(&host, "useradd");
    is_over();
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    wrap(&host, "userdel", &slow.replace("TOOL", "userdel"));
    run(
        &host,
        &format!("cictl delete --yes --with-branch --no-wait {ANNA}"),
    );
    kill();
    unwrap(&host, "userdel");
    is_over();
    host.assert_same(&before, WATCHED).unwrap();
    assert_eq!(tables(&host), tables_before);
    // One that is cancelled does not break the tool off either.
    wrap(&host, "useradd", &slow.replace("TOOL", "useradd"));
    run(&host, &format!("cictl create --no-wait {ANNA}"));
    soon("the tool works", || host.exists("/etc/began").unwrap());
    run(
        &host,
        "cictl jobs cancel $(cictl jobs list -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0][\"id\"])')",
    );
    is_over();
    run(&host, "rm /etc/began /etc/ended");
    unwrap(&host, "useradd");
    host.assert_same(&before, WATCHED).unwrap();
    assert_eq!(tables(&host), tables_before);
    is_well(&host);
}
