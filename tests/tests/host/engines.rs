//! nginx and supervisord on a host: what is wrong with one file, or was removed by hand, keeps nobody
//! else down.

use crate::stage::{cid, create, soon, status_of};
use cid_testkit::host::Host;

const ANNA: &str = "anna---example-com";
const BOB: &str = "bob---example-com";
const CARL: &str = "carl---example-com";

fn run(host: &Host, line: &str) -> String {
    let done = host.run(&["sh", "-c", line]).unwrap();
    done.ok().unwrap().stdout
}

fn answers(host: &Host, name: &str) {
    soon(&format!("{name} answers"), || {
        status_of(host, name) == "200"
    });
}

#[test]
fn what_supervisord_would_not_start_with_is_one_workspaces_trouble() {
    let Some(mut host) = cid() else { return };
    for who in ["anna", "bob", "carl"] {
        create(&host, &format!("{who}@example.com"));
    }
    // As a hand that tidies up, or a disk, may leave it: folders that are gone, a file that is none.
    run(
        &host,
        &format!(
            "rm -r /var/log/cid/apps/guestbook.{ANNA} /srv/cid/guestbook/{BOB} /var/lib/cid/apps/guestbook.{BOB}.json"
        ),
    );
    run(&host, "systemctl restart cid-supervisor");
    answers(&host, ANNA);
    answers(&host, CARL);

    let program = |name: &str| format!("/var/lib/cid/supervisor/programs/guestbook.{name}.conf");
    for garbage in ["\0\0\0\0", "[program:x", "[program:x]\ncommand=%\n"] {
        host.write(&program(BOB), garbage, 0o644).unwrap();
        run(&host, "systemctl restart cid-supervisor");
        answers(&host, CARL);
        answers(&host, ANNA);
        assert!(!host.exists(&program(BOB)).unwrap(), "{garbage:?}");
        let broken = format!("{}.broken", program(BOB));
        assert!(host.exists(&broken).unwrap(), "{garbage:?}");
    }
    let journal = host.journal("cid-supervisor").unwrap();
    assert!(
        journal.contains(&format!("{} keeps supervisord from", program(BOB))),
        "{journal}"
    );

    // A second one, which is missed and written again.
    run(&host, &format!(": > {}", program(ANNA)));
    run(&host, &format!("echo nonsense >> {}", program(ANNA)));
    run(&host, "systemctl restart cid-supervisor");
    answers(&host, CARL);
    let doctor = host.run(&["cictl", "doctor"]).unwrap().stdout;
    assert!(
        doctor.contains(&format!("program guestbook.{ANNA}: its file is gone")),
        "{doctor}"
    );
    host.run(&["cictl", "doctor", "--repair"]).unwrap();
    answers(&host, ANNA);

    // Logs on a file system that a reboot empties.
    run(&host, "rm -r /var/log/cid");
    host.reboot().unwrap();
    answers(&host, ANNA);
    answers(&host, CARL);
    for who in ["anna", "bob", "carl"] {
        let email = format!("{who}@example.com");
        host.run(&["cictl", "delete", "--yes", "--discard", &email])
            .unwrap()
            .ok()
            .unwrap();
    }
}
