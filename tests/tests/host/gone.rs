//! Projects whose file is gone or says something else by now, and projects that are taken away.

use crate::stage::{cid, create, status_of, words};
use cid_testkit::host::Host;

const FILE: &str = "/etc/cid/projects.d/guestbook.toml";
const ANNA: &str = "anna@example.com";
const BERT: &str = "bert@example.com";
const CACHES: [&str; 4] = ["/var/lib/cid", "/srv/cid", "/var/log/cid", "/etc"];

fn run(host: &Host, command: &str) -> String {
    let output = host.run(&["sh", "-c", command]).unwrap();
    words(&output.ok().unwrap())
}

fn delete(host: &Host, email: &str) {
    run(host, &format!("cictl delete {email} --yes --discard"));
    assert_eq!(host.run(&["cictl", "show", email]).unwrap().status, 3);
}

#[test]
fn without_its_file_a_project_is_named_and_its_workspaces_go() {
    let Some(host) = cid() else { return };
    create(&host, ANNA);
    create(&host, BERT);
    // A typo takes no rights away, and is named where it is the reason.
    let as_anna = |args: &[&str]| host.run_as("anna", &[&["cictl"], args].concat()).unwrap();
    run(
        &host,
        &format!("cp {FILE} /root/guestbook.toml && sed -i '1i bracnh = 1' {FILE}"),
    );
    let reload = || host.run(&["systemctl", "reload", "cid"]).unwrap();
    assert_ne!(reload().status, 0);
    as_anna(&["run", ANNA, "--", "true"]).ok().unwrap();
    as_anna(&["logs", ANNA]).ok().unwrap();
    assert_eq!(as_anna(&["run", BERT, "--", "true"]).status, 4);
    for args in [&["restart", ANNA][..], &["access", "repair", ANNA]] {
        let told = as_anna(args);
        assert_eq!(told.status, 5, "{told}");
        assert!(words(&told).contains("unknown field `bracnh`"), "{told}");
    }
    run(&host, &format!("rm {FILE}"));
    let reload = reload();
    assert_ne!(reload.status, 0, "{reload}");
    let told = as_anna(&["create", "new@example.com"]);
    assert!(
        words(&told).contains("guestbook has no file any more"),
        "{told}"
    );
    let told = "the project guestbook has 2 workspaces and no file";
    assert!(run(&host, "journalctl -u cid -o cat").contains(told));
    let doctor = host.run(&["cictl", "doctor"]).unwrap();
    assert!(doctor.text().contains(told), "{doctor}");
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    run(&host, &format!("cictl run {ANNA} -- true"));
    delete(&host, ANNA);
    assert!(
        !host
            .exists("/srv/cid/guestbook/anna---example-com")
            .unwrap()
    );
    // So can a project whose account, deploy user and daemon have changed.
    run(&host, "systemctl restart cid");
    delete(&host, BERT);
    assert!(
        run(
            &host,
            "ls -A -I.kept /srv/cid/guestbook /srv/cid/guestbook/.trash"
        )
        .lines()
        .count()
            <= 4
    );
}

#[test]
fn after_its_work_dir_has_changed_a_workspace_goes_from_the_old_one() {
    let Some(host) = cid() else { return };
    create(&host, ANNA);
    create(&host, BERT);
    run(
        &host,
        &format!(
            "sed -i '1i work_dir = \"/srv/cid/elsewhere\"' {FILE} && sed -i 's/^deploy_user.*//' {FILE}"
        ),
    );
    host.run(&["systemctl", "reload", "cid"]).unwrap();
    run(&host, &format!("cictl run {ANNA} -- touch ../home/x"));
    delete(&host, ANNA);

    // What the daemon's unit may not write is said, and goes when it may.
    run(
        &host,
        "mount -o bind,ro /srv/cid/guestbook /srv/cid/guestbook && systemctl restart cid",
    );
    let refused = host
        .run(&["cictl", "delete", BERT, "--yes", "--discard"])
        .unwrap();
    assert_eq!(refused.status, 1, "{refused}");
    assert!(words(&refused).contains("/srv/cid/guestbook"), "{refused}");
    run(&host, "umount /srv/cid/guestbook && systemctl restart cid");
    delete(&host, BERT);
}

#[test]
fn a_project_that_is_taken_away_leaves_the_machine_as_it_was() {
    let Some(host) = cid() else { return };
    let other = "/etc/cid/projects.d/shop.toml";
    // Starts polkit, which stays.
    host.run_as("anna", &["cictl", "list"])
        .unwrap()
        .ok()
        .unwrap();
    let before = host.state(&CACHES).unwrap();
    run(
        &host,
        &format!(
            "sed 's/guestbook.test/shop.test/; /guestbook.media/d; /^.media.$/d' {FILE} > {other} && systemctl reload cid"
        ),
    );
    run(
        &host,
        &format!("cictl create -p shop {ANNA}; cictl create -p shop {BERT}"),
    );
    assert!(run(&host, "getent passwd").contains("cidb-shop"));
    let remove = ["cictl", "project", "remove", "shop", "--yes"];
    let refused = host.run(&remove).unwrap();
    assert_eq!(refused.status, 5, "{refused}");
    assert!(words(&refused).contains(ANNA) && words(&refused).contains(BERT));
    let denied = host
        .run_as("anna", &[&remove[..], &["--with-workspaces"]].concat())
        .unwrap();
    assert_ne!(denied.status, 0, "{denied}");
    // Killed in the middle, the same again finishes.
    let kill = "for i in 1 2 3 4 5 6; do cictl project remove shop --yes --with-workspaces & \
                sleep 0.$i; systemctl kill --kill-whom=main -s KILL cid; wait; sleep 2.2; done";
    host.run(&["sh", "-c", kill]).unwrap();
    let last = host
        .run(&[&remove[..], &["--with-workspaces"]].concat())
        .unwrap();
    assert!([0, 3].contains(&last.status), "{last}");
    run(&host, "rm /etc/cid/projects.d/shop.toml.removed");
    let after = host.state(&CACHES).unwrap();
    let difference = before.difference(&after);
    let left: Vec<&str> = difference
        .lines()
        .filter(|line| !CHANGES.iter().any(|change| line.contains(change)))
        .collect();
    assert_eq!(left, [""; 0], "{difference}");
}

/// What changes with every job, and copies that the account tools keep.
const CHANGES: [&str; 6] = [
    "/var/lib/cid/cid.db",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/.pwd.lock",
];
