//! File systems that fill up on a server: what was begun is taken back, what is there can be deleted, and nothing
//! sticks.

use crate::{
    doctor::{is_well, run},
    stage::{cid, create, rewrite_project, soon, words},
};
use cid_testkit::host::Host;

const ANNA: &str = "anna@example.com";
const BOB: &str = "bob@example.com";
/// A release command that writes until there is no room.
const FILLS: &str = r#"release = [["sh", "-c", "if [ $CID_WORKSPACE = anna---example-com ]; then cat /dev/zero > big; fi"], ["python", "manage.py", "migrate", "--noinput"]]"#;

/// One that waits for a file, and then fails.
const WAITS: &str =
    r#"release = [["sh", "-c", "echo it waits; while [ ! -e ~/go ]; do sleep 0.1; done; false"]]"#;

/// Gives a folder of cid's a small file system of its own, which holds what is in it and so many MiB more.
fn confine(host: &Host, folder: &str, more: u32) {
    run(
        host,
        &format!(
            "systemctl stop cid cid-supervisor run-cid-work.mount && \
             size=$(($(du --summarize --block-size=1M {folder} | cut -f1) + {more})) && \
             mv {folder} {folder}.old && mkdir {folder} && \
             mount -t tmpfs -o size=${{size}}m none {folder} && cp --archive {folder}.old/. {folder}/ && \
             systemctl start run-cid-work.mount cid-supervisor cid"
        ),
    );
    soon("cid answers", || {
        host.run(&["cictl", "list"]).unwrap().status == 0
    });
}

fn fill(host: &Host, folder: &str) {
    let filled = host.run(&["sh", "-c", &format!("cat /dev/zero > {folder}/filler")]);
    assert!(words(&filled.unwrap()).contains("No space left"));
}

/// Leaves a file system in memory no more than some MiB.
fn shrink(host: &Host, folder: &str) {
    run(
        host,
        &format!(
            "findmnt --noheadings --types tmpfs {folder} || mount -t tmpfs none {folder}; \
             mount -o remount,size=$(($(df --output=used --block-size=1M {folder} | tail -1) + 8))m {folder}"
        ),
    );
}

fn make_room(host: &Host, folder: &str) {
    run(host, &format!("rm {folder}/filler"));
}

/// It is refused or taken back, and nothing of it is left.
fn fails(host: &Host, email: &str) -> String {
    let failed = host.run(&["cictl", "create", email]).unwrap();
    let said = words(&failed);
    assert!(matches!(failed.status, 1 | 5), "{said}");
    assert!(!said.contains("stuck"), "{said}");
    let jobs = run(host, "cictl jobs list");
    assert!(!jobs.contains("stuck"), "{jobs}");
    let left = run(
        host,
        "cictl list; ls /srv/cid/guestbook; getent passwd | grep cidw- || true",
    );
    assert!(
        !left.contains(email.split('@').next().unwrap()),
        "{left}\n{said}"
    );
    said
}

fn goes(host: &Host, email: &str) {
    let deleted = host.run(&["cictl", "delete", "--yes", "--with-branch", email]);
    deleted.unwrap().ok().unwrap();
}

#[test]
fn what_fills_a_file_system_is_taken_back_and_what_is_there_goes() {
    let Some(host) = cid() else { return };
    run(&host, "echo 'min_free_mib = 0' >> /etc/cid/cid.toml");
    rewrite_project(&host, "", FILLS, "").ok().unwrap();
    // Each workspace that there is room for again is the next one that has to go.
    create(&host, BOB);
    for folder in ["/srv/cid", "/var/lib/cid"] {
        confine(&host, folder, 30);
        if folder == "/srv/cid" {
            let said = fails(&host, ANNA);
            assert!(said.contains("No space left"), "{said}");
        }
        fill(&host, folder);
        fails(&host, "carl@example.com");
        goes(&host, BOB);
        make_room(&host, folder);
        create(&host, BOB);
        is_well(&host);
    }
    // What everything on the machine writes to: systemd the units of helpers, for one.
    for folder in ["/tmp", "/run"] {
        shrink(&host, folder);
        fill(&host, folder);
        let created = host.run(&["cictl", "create", ANNA]).unwrap();
        if folder == "/run" {
            let said = words(&created);
            assert!(
                created.status == 5 && said.contains("the disk of /run/cid is full"),
                "{said}"
            );
        }
        goes(&host, BOB);
        let jobs = run(&host, "cictl jobs list");
        assert!(!jobs.contains("stuck"), "{jobs}");
        make_room(&host, folder);
        if created.status == 0 {
            goes(&host, ANNA);
        }
        create(&host, BOB);
        is_well(&host);
    }
    // One that is begun, and then there is no room.
    rewrite_project(&host, "", WAITS, "").ok().unwrap();
    run(&host, &format!("cictl create --no-wait {ANNA}"));
    let waits = ["pgrep", "--full", "^sh -c echo it waits"];
    soon("a command waits", || host.run(&waits).unwrap().status == 0);
    fill(&host, "/run");
    run(&host, "touch /srv/cid/guestbook/anna---example-com/home/go");
    let newest = "cictl jobs list | awk 'NR == 2 { print $3 }'";
    soon("it is taken back", || run(&host, newest).trim() == "undone");
    make_room(&host, "/run");
    goes(&host, BOB);
    is_well(&host);
}
