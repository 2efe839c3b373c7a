//! The helper of a project's next workspace stands ready, and nothing else of that workspace.

use crate::stage::{cid, create, soon, status_of, user_of};
use cid_testkit::host::Host;
use std::time::Duration;

/// What cid.toml says without a word of the operator's.
const WORKSPACE_UIDS: std::ops::RangeInclusive<u32> = 70_000..=99_999;

/// Process, user id and groups of the helper that stands ready as a workspace's user.
fn waiting(host: &Host) -> Option<(String, u32, String)> {
    let listed = host.run(&[
        "pgrep",
        "--full",
        "^/usr/lib/cid/cid-helper serve --job 00000000-",
    ]);
    let pids = listed.unwrap().stdout;
    pids.lines().find_map(|pid| {
        // One that ends meanwhile is none.
        let status = host.read(&format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let uid = field("Uid:")?.split(' ').next()?.parse().ok()?;
        WORKSPACE_UIDS
            .contains(&uid)
            .then(|| (pid.to_owned(), uid, field("Groups:").unwrap_or_default()))
    })
}

/// The one that stays: what stands ready is exchanged where it sees other folders than there are now.
fn waiting_soon(host: &Host) -> (String, u32, String) {
    let mut last = None;
    soon("a helper stands ready", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = waiting(host);
        let stays = now.is_some() && now == last;
        last = now;
        stays
    });
    last.unwrap()
}

fn uid_of(host: &Host, user: &str) -> u32 {
    let id = host.run(&["id", "--user", user]).unwrap().ok().unwrap();
    id.stdout.trim().parse().unwrap()
}

/// Accounts of workspaces, and their groups.
fn accounts(host: &Host) -> Vec<String> {
    let tables = ["passwd", "group"].map(|table| {
        let listed = host.run(&["getent", table]).unwrap().ok().unwrap();
        let names = listed
            .stdout
            .lines()
            .filter_map(|line| line.split(':').next());
        names
            .filter(|name| name.starts_with("cidw-"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    tables.concat()
}

#[test]
fn the_next_workspace_finds_its_helper_waiting_and_until_then_has_no_account() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let anna = user_of(&host, "anna---example-com");
    let (pid, uid, groups) = waiting_soon(&host);
    assert_ne!(uid, uid_of(&host, &anna));
    let project = host.run(&["getent", "group", "cid-guestbook"]).unwrap();
    let project = project.stdout.split(':').nth(2).unwrap().to_owned();
    assert_eq!(
        groups,
        format!("{project} {uid}"),
        "the project's and its own"
    );
    soon("only Anna has an account", || {
        accounts(&host) == [anna.clone(), anna.clone()]
    });

    create(&host, "bob@example.com");
    assert_eq!(uid_of(&host, &user_of(&host, "bob---example-com")), uid);
    let listed = host.run(&["cictl", "jobs", "list", "-o", "json"]).unwrap();
    let jobs: serde_json::Value = serde_json::from_str(&listed.ok().unwrap().stdout).unwrap();
    let of_bob = |job: &&serde_json::Value| job["email"] == "bob@example.com";
    let job = jobs.as_array().unwrap().iter().find(of_bob).unwrap()["id"].as_str();
    let started = format!("Started cid-helper-{}.", job.unwrap());
    let journal = host
        .run(&["journalctl", "--no-pager", "--output=cat"])
        .unwrap();
    let own: Vec<&str> = journal
        .stdout
        .lines()
        .filter(|line| line.contains(&started))
        .collect();
    assert!(
        !own.iter()
            .any(|line| line.contains("the repository's own commands")),
        "{own:?}"
    );
    let (next_pid, next, _) = waiting_soon(&host);
    assert_ne!(next, uid);
    assert_ne!(next_pid, pid);
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

/// As it is when the daemon is killed between the account's coming and its going.
#[test]
fn an_account_that_a_killed_daemon_left_is_taken_away_before_its_number_is_given() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let (_, uid, _) = waiting_soon(&host);
    soon("only Anna has an account", || accounts(&host).len() == 2);
    let run = |args: &[&str]| host.run(args).unwrap().ok().unwrap();
    run(&[
        "systemctl",
        "stop",
        "cid.socket",
        "cid-front.socket",
        "cid.service",
    ]);
    let undone = "import sqlite3; c = sqlite3.connect('/var/lib/cid/cid.db'); \
                  print(c.execute('UPDATE reserved SET ready = 0 RETURNING number').fetchall()); c.commit()";
    let number = run(&["python3", "-c", undone]).stdout;
    let number: String = number.chars().filter(char::is_ascii_digit).collect();
    let (name, uid_text) = (format!("cidw-{number}"), uid.to_string());
    run(&[
        "useradd",
        "--uid",
        &uid_text,
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        &name,
    ]);
    run(&[
        "systemctl",
        "start",
        "cid.socket",
        "cid-front.socket",
        "cid.service",
    ]);
    soon("the account is gone", || accounts(&host).len() == 2);
    waiting_soon(&host);
    create(&host, "bob@example.com");
    assert_eq!(user_of(&host, "bob---example-com"), name);
    assert_eq!(uid_of(&host, &name), uid);
    assert_eq!(status_of(&host, "bob---example-com"), "200");
}

#[test]
fn what_waits_goes_with_its_project_and_is_exchanged_with_its_limits() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let (pid, uid, _) = waiting_soon(&host);
    let reload = |line: &str| {
        let script = format!("{line} && systemctl reload cid");
        host.run(&["sh", "-c", &script]).unwrap().ok().unwrap();
    };
    let file = "/etc/cid/projects.d/guestbook.toml";
    reload(&format!(
        "printf '[limits.commands]\\nopen_files = 300\\n' >> {file}"
    ));
    let (next, same, _) = waiting_soon(&host);
    assert_eq!(same, uid);
    assert_ne!(next, pid);
    reload(&format!("mv {file} /root/guestbook.toml"));
    soon("nobody waits for it", || waiting(&host).is_none());
}

#[test]
fn a_daemon_that_stops_leaves_nothing_for_systemd_to_kill() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    waiting_soon(&host);
    host.run(&["systemctl", "restart", "cid"])
        .unwrap()
        .ok()
        .unwrap();
    let journal = host.journal("cid").unwrap();
    assert!(journal.contains("stopping; jobs under way"), "{journal}");
    assert!(!journal.contains("SIGKILL"), "{journal}");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
}
