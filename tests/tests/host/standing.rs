//! The helper for git of a project's next job stands ready, and is never another one than would be started.

use crate::stage::{cid, create, soon, status_of};
use cid_testkit::host::Host;
use std::time::Duration;

/// Process and groups of the helper that stands ready as the deploy user.
fn waiting(host: &Host) -> Option<(String, String)> {
    let listed = host.run(&[
        "pgrep",
        "--uid",
        "deploy",
        "--full",
        "^/usr/lib/cid/cid-helper serve --job 00000000-",
    ]);
    let pids = listed.unwrap().stdout;
    pids.lines().find_map(|pid| {
        // One that ends meanwhile does not count.
        let status = host.read(&format!("/proc/{pid}/status")).ok()?;
        let groups = status.lines().find_map(|line| line.strip_prefix("Groups:"));
        Some((pid.to_owned(), groups?.trim().to_owned()))
    })
}

/// The one that stays.
fn waiting_soon(host: &Host) -> (String, String) {
    let mut last = None;
    soon("a helper stands ready", || {
        std::thread::sleep(Duration::from_millis(500));
        let now = waiting(host);
        let stays = now.is_some() && now == last;
        last = now;
        stays
    });
    last.unwrap()
}

#[test]
fn what_waits_is_exchanged_with_its_account_and_goes_with_its_project() {
    let Some(host) = cid() else { return };
    create(&host, "anna@example.com");
    let (pid, groups) = waiting_soon(&host);
    let run = |script: &str| host.run(&["sh", "-c", script]).unwrap().ok().unwrap();
    run("groupadd more && usermod --append --groups more deploy && systemctl reload cid");
    let (next, now) = waiting_soon(&host);
    assert_ne!(next, pid);
    assert_ne!(now, groups);
    let file = "/etc/cid/projects.d/guestbook.toml";
    // The reload fails: there are workspaces of a project that has no file.
    run(&format!(
        "mv {file} /root/guestbook.toml && ! systemctl reload cid"
    ));
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
