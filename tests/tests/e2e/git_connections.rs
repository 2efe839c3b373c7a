//! Connections to a git server: few at a time, used again, and tried again where one was lost.

use crate::{
    shell::talk,
    stage::{ANNA, SOON, Stage},
};
use cid_testkit::{Fate, GitServer, Proxy, Sandbox, Tree, end, helpers, wait_until};
use std::{fs, net::TcpListener, path::Path, thread};

/// A project behind an sshd with these lines in its configuration, and a proxy before it.
fn behind(fates: Vec<Fate>, sshd: &str, settings: &str) -> (Stage, Proxy) {
    let mut sandbox = Sandbox::prepare().unwrap();
    let told = sandbox.ports().other();
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let proxy = Proxy::start(told, port, fates).unwrap();
    let home = sandbox.home().unwrap();
    let server = GitServer::ssh_behind(home, "hello", &Tree::hello(), (told, port), sshd).unwrap();
    sandbox
        .write_project("hello", &server.project_toml("hello", ""))
        .unwrap();
    sandbox.configure(settings).unwrap();
    sandbox.start().unwrap();
    (Stage { sandbox, server }, proxy)
}

const MANY: &str = "MaxStartups 200";

#[test]
fn twenty_at_once_are_all_ready_though_the_server_drops_some() {
    let (stage, proxy) = behind(vec![], "MaxStartups 2:100:4", "");
    let before = stage.snapshot();
    let emails: Vec<String> = (0..20).map(|i| format!("p{i}@example.com")).collect();
    for email in &emails {
        stage.cictl_ends(0, &["create", email, "--no-wait"]);
    }
    stage.jobs_are_over();
    for email in &emails {
        let workspace = stage.show(email);
        assert_eq!(workspace.text("state"), "ready", "{email}");
        let pushed = stage.server.branch(&workspace.name()).unwrap();
        assert_eq!(pushed, Some(workspace.text("commit")), "{email}");
    }
    assert!(proxy.most() <= 4, "{} at once", proxy.most());
    thread::scope(|scope| {
        for email in &emails {
            scope.spawn(|| stage.delete(email));
        }
    });
    stage.assert_same(&before);
}

#[test]
fn a_create_has_one_connection_and_leaves_none() {
    let (stage, proxy) = behind(vec![], MANY, "");
    let before = stage.snapshot();
    stage.create(ANNA);
    assert_eq!(proxy.connections(), 1);
    // A helper ends a moment after its job.
    let helpers = stage.sandbox.dir().join("run/helpers");
    let left = || fs::read_dir(&helpers).unwrap().count();
    wait_until("no socket is left", SOON, || (left() == 0).then_some(())).unwrap();
    stage.delete(ANNA);
    // One to look what would be lost, and one of the job.
    assert_eq!(proxy.connections(), 1 + 2);
    stage.assert_same(&before);
    stage.create(ANNA);
    let connections = proxy.connections();
    let answer = serde_json::json!([["expect", "? [y/N] "], ["send", "y\n"]]);
    let talked = talk(&stage, &["delete", ANNA, "--with-branch"], &answer);
    assert_eq!(talked.status, Some(0), "{}", talked.written);
    // What was found before the question is not asked for again after it.
    assert_eq!(proxy.connections(), connections + 2);
    stage.assert_same(&before);
}

#[test]
fn a_server_that_drops_the_first_connections_is_tried_again() {
    let (stage, proxy) = behind(vec![Fate::Dropped; 3], MANY, "");
    stage.create(ANNA);
    assert_eq!(proxy.connections(), 4);
}

#[test]
fn a_connection_that_is_cut_in_the_middle_is_made_again() {
    // In ssh's own greetings, while branches are told, and after: each is where something else notices.
    for bytes in [500, 2000, 3500] {
        let (stage, proxy) = behind(vec![Fate::Cut(bytes)], MANY, "");
        let before = stage.snapshot();
        stage.create(ANNA);
        assert!(proxy.connections() >= 2, "cut after {bytes} bytes");
        stage.delete(ANNA);
        stage.assert_same(&before);
    }
}

#[test]
fn a_server_that_says_no_is_asked_once() {
    let (stage, proxy) = behind(vec![], MANY, "");
    stage.server.reject_pushes("only on Mondays").unwrap();
    let said = stage.create_is_taken_back(ANNA);
    assert!(said.contains("only on Mondays"), "{said}");
    assert!(!said.contains("trying again"), "{said}");
    // The undo asks whether the branch is there.
    assert!(proxy.connections() <= 2, "{}", proxy.connections());
    fs::write(&stage.server.keys().unwrap().identity, "no key").unwrap();
    let connections = proxy.connections();
    let said = stage.create_is_taken_back(ANNA);
    assert!(said.contains("does not accept the key"), "{said}");
    assert_eq!(proxy.connections(), connections + 1, "{said}");
}

#[test]
fn a_push_whose_answer_is_lost_is_known_again() {
    let (stage, _proxy) = behind(vec![], MANY, "");
    // The server takes the commit, and the connection breaks off before it can say so, once.
    let hook = stage.server.path().join("hooks/post-receive");
    let mark = stage.server.path().join("was-here");
    let script = format!(
        "#!/bin/sh\n[ -e '{0}' ] && exit 0\ntouch '{0}'\nkill -9 $PPID\nsleep 1\n",
        mark.display()
    );
    executable(&hook, &script);
    let anna = stage.create(ANNA);
    assert!(mark.exists());
    let pushed = stage.server.branch(&anna.name()).unwrap();
    assert_eq!(pushed, Some(anna.text("commit")));
}

#[test]
fn a_push_whose_ssh_is_killed_is_made_again_while_the_server_is_still_at_the_first() {
    let (stage, _proxy) = behind(vec![], MANY, "");
    let hook = stage.server.path().join("hooks/pre-receive");
    let mark = stage.server.path().join("was-here");
    let script = format!(
        "#!/bin/sh\n[ -e '{0}' ] && exit 0\ntouch '{0}'\nsleep 2\n",
        mark.display()
    );
    executable(&hook, &script);
    stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
    let has_begun = || mark.exists().then_some(());
    wait_until("the push to begin", SOON, has_begun).unwrap();
    let mut connections = helpers(stage.sandbox.dir());
    connections.retain(|process| process.name == "ssh");
    assert!(!connections.is_empty());
    for connection in connections {
        end(&connection, SOON).unwrap();
    }
    stage.jobs_are_over();
    let anna = stage.show(ANNA);
    assert_eq!(anna.text("state"), "ready");
    let pushed = stage.server.branch(&anna.name()).unwrap();
    assert_eq!(pushed, Some(anna.text("commit")));
}

/// Speaks git's protocol and sends one object that never ends.
const ENDLESS: &str = r#"
import os, sys
out = sys.stdout.buffer
def packet(data): out.write(b"%04x" % (len(data) + 4) + data)
packet(b"1" * 40 + b" refs/heads/main\0side-band-64k ofs-delta agent=endless\n")
out.write(b"0000"); out.flush()
while not sys.stdin.buffer.readline().endswith(b"done\n"): pass
packet(b"NAK\n")
size, byte, header = 1 << 40, (3 << 4), b""
byte |= size & 15; size >>= 4
while size: header += bytes([byte | 128]); byte = size & 127; size >>= 7
header += bytes([byte])
packet(b"\x01PACK" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + header + b"\x78\x01")
block = b"\x00" + (60000).to_bytes(2, "little") + (60000 ^ 65535).to_bytes(2, "little") + os.urandom(60000)
while True: packet(b"\x01" + block)
"#;

#[test]
fn a_server_that_never_ends_sending_is_stopped_at_the_limit() {
    let (stage, _proxy) = behind(vec![], MANY, "max_repository = \"60M\"\n");
    let script = stage.server.path().join("endless.py");
    fs::write(&script, ENDLESS).unwrap();
    let keys = stage.server.keys().unwrap();
    keys.force(&format!("exec python3 {}", script.display()))
        .unwrap();
    let begin = std::time::Instant::now();
    let said = stage.cictl_ends(1, &["create", ANNA]).text();
    assert!(said.contains("it is larger than 60 MiB"), "{said}");
    assert!(said.contains("max_repository in cid.toml"), "{said}");
    assert!(!said.contains("trying again"), "{said}");
    // Long before the time that talking to a server may take.
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    let left = size(&stage.sandbox.dir().join("state/mirrors"));
    assert!(left < 1 << 20, "{left} bytes are left");
}

#[test]
fn what_a_cancelled_fetch_has_brought_is_removed_at_once() {
    let (stage, _proxy) = behind(vec![], MANY, "");
    let script = stage.server.path().join("endless.py");
    fs::write(&script, ENDLESS).unwrap();
    let keys = stage.server.keys().unwrap();
    keys.force(&format!("exec python3 {}", script.display()))
        .unwrap();
    stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
    let mirrors = stage.sandbox.dir().join("state/mirrors");
    let has_come = || (size(&mirrors) > 10 << 20).then_some(());
    wait_until("something to come", SOON, has_come).unwrap();
    let job = stage.newest_job()["id"].as_str().unwrap().to_owned();
    stage.cictl_ends(0, &["jobs", "cancel", &job]);
    assert!(
        size(&mirrors) < 1 << 20,
        "{} bytes are left",
        size(&mirrors)
    );
}

fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, script).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// The bytes of all files below.
fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
