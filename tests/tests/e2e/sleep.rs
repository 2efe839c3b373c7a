//! Workspaces whose processes were stopped: until somebody starts them, and until the next visitor comes.

use crate::stage::{ANNA, SOON, Stage, Workspace};
use crate::visitors::under_load;
use cid_testkit::{Tree, http_get, wait_until};
use sha2::{Digest, Sha256};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

const BRANCH: &str = "anna---example-com";

fn state(stage: &Stage) -> String {
    let workspace = stage.sandbox.json(&["show", ANNA]).unwrap();
    workspace["state"].as_str().unwrap().to_owned()
}

/// How often the app was started.
fn starts(stage: &Stage) -> usize {
    let logs = stage.cictl_ends(0, &["logs", ANNA, "--lines", "10000"]);
    logs.stdout.matches(" starts").count()
}

fn page(stage: &Stage, workspace: &Workspace) -> (u16, String) {
    let answer = stage.get(workspace, "/");
    (answer.status, answer.body)
}

fn has_no_drift(stage: &Stage) {
    let told = stage.cictl_ends(0, &["doctor"]).text();
    assert!(!told.contains("drift"), "{told}");
}

#[test]
fn what_is_stopped_stays_so_until_somebody_starts_it() {
    let procfile = "web: exec python3 app.py $SOCKET\nworker: exec sleep 1000\n";
    let tree = Tree::on_socket().with("Procfile", procfile);
    let mut stage = Stage::of(&tree, "");
    let anna = stage.create(ANNA);
    let told = stage.cictl_ends(0, &["stop", ANNA]).text();
    assert!(told.contains("stopped after"), "{told}");
    let (status, body) = page(&stage, &anna);
    assert!(status == 503 && body.contains("stopped"), "{status} {body}");
    assert_eq!(state(&stage), "stopped");
    let told = stage.cictl_ends(0, &["doctor"]).text();
    assert!(told.contains("stopped: anna@example.com"), "{told}");
    has_no_drift(&stage);
    let told = stage.cictl_ends(0, &["stop", ANNA]).text();
    assert!(told.contains("stopped already"), "{told}");
    // Its files are there to be worked on.
    let ran = stage.cictl_ends(0, &["run", ANNA, "--", "cat", "version"]);
    assert_eq!(ran.stdout.trim(), "one");
    // Neither another daemon nor another supervisord starts it.
    stage.sandbox.restart().unwrap();
    assert_eq!(page(&stage, &anna).0, 503);
    assert_eq!((state(&stage).as_str(), starts(&stage)), ("stopped", 1));
    has_no_drift(&stage);
    stage.cictl_ends(0, &["start", ANNA]);
    assert!(page(&stage, &anna).1.starts_with("one from "));
    let told = stage.cictl_ends(0, &["start", ANNA]).text();
    assert!(told.contains("not stopped"), "{told}");
    has_no_drift(&stage);

    // These lead to one that runs.
    stage.cictl_ends(0, &["stop", ANNA]);
    stage.cictl_ends(0, &["restart", ANNA]);
    assert!(page(&stage, &anna).1.starts_with("one from "));
    stage.cictl_ends(0, &["stop", ANNA]);
    stage.server.commit_file(BRANCH, "version", "two").unwrap();
    stage.cictl_ends(0, &["deploy", ANNA]);
    assert!(page(&stage, &anna).1.starts_with("two from "));
    has_no_drift(&stage);

    // One that does not come up is stopped as before, and goes without a trace.
    stage.cictl_ends(0, &["stop", ANNA]);
    let app = anna.tree().join("app.py");
    std::fs::write(&app, "raise SystemExit(3)\n").unwrap();
    let told = stage.cictl_ends(1, &["start", ANNA]).text();
    assert!(told.contains("stopped as before"), "{told}");
    assert_eq!(state(&stage), "stopped");
    anna.git(&["checkout", "app.py"]);
    stage.cictl_ends(0, &["delete", ANNA, "--yes", "--with-branch", "--force"]);
    let away = stage.sandbox.dir().join("run/away");
    assert_eq!(std::fs::read_dir(away).unwrap().count(), 0);
}

#[test]
fn no_request_is_lost_on_the_way_into_sleep_and_out_of_it() {
    let stage = Stage::of(&Tree::on_socket(), "");
    let anna = stage.create(ANNA);
    let asleep = || {
        wait_until("it sleeps", SOON, || {
            (stage.cictl(&["sleep", ANNA]).status == 0).then_some(())
        })
        .unwrap();
    };
    let port = stage.sandbox.http_port();
    let asked = under_load(port, &anna.host(), |is_well| {
        for _ in 0..3 {
            asleep();
            assert!(is_well());
        }
    });
    assert!(asked > 10, "{asked}");
    assert!(starts(&stage) > 3);

    // A body is not sent in vain.
    asleep();
    assert_eq!(state(&stage), "asleep");
    let body: Vec<u8> = (0..5_000_000).map(|n: u32| (n % 251) as u8).collect();
    let digest: String = Sha256::digest(&body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(post(port, &anna.host(), &body, || {}).trim(), digest);
    assert_eq!(state(&stage), "ready");
    // Nor where it falls asleep while the body comes.
    assert_eq!(post(port, &anna.host(), &body, asleep).trim(), digest);
    has_no_drift(&stage);

    asleep();
    let before = starts(&stage);
    thread::scope(|scope| {
        let ask = || http_get(port, &anna.host(), "/").unwrap();
        let visitors: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        for visitor in visitors {
            let (status, body) = visitor.join().unwrap();
            assert!(
                status == 200 && body.starts_with("one from "),
                "{status} {body}"
            );
        }
    });
    assert_eq!(starts(&stage), before + 1);

    asleep();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let host = anna.host();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    socket.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 101 "), "{line}");
    while line != "\r\n" {
        line.clear();
        socket.read_line(&mut line).unwrap();
    }
    socket.get_mut().write_all(b"hello\n").unwrap();
    line.clear();
    socket.read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
    drop(socket);

    // A browser's page that waits for it is the app's own.
    asleep();
    stage.cictl_ends(0, &["wake", ANNA]);
    assert_eq!(page(&stage, &anna).0, 200);
    stage.delete(ANNA);
}

#[test]
fn who_is_not_visited_falls_asleep_and_the_next_visitor_wakes_them() {
    let stage = Stage::of(&Tree::on_socket(), "[sleep]\nafter = \"2s\"\n");
    let anna = stage.create(ANNA);
    // Visits, and nothing else, keep it awake: cid's own looks do not.
    for _ in 0..8 {
        assert_eq!(page(&stage, &anna).0, 200);
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!((state(&stage).as_str(), starts(&stage)), ("ready", 1));
    wait_until("it falls asleep", SOON, || {
        stage.cictl_ends(0, &["list"]);
        (state(&stage) == "asleep").then_some(())
    })
    .unwrap();
    has_no_drift(&stage);
    let audit = stage.cictl_ends(0, &["audit"]).text();
    assert!(audit.contains("idle"), "{audit}");
    assert!(page(&stage, &anna).1.starts_with("one from "));
    assert_eq!((state(&stage).as_str(), starts(&stage)), ("ready", 2));
    stage.delete(ANNA);
}

/// Posts this and gives the answer's body; does something when half of it is sent.
fn post(port: u16, host: &str, body: &[u8], half_way: impl FnOnce()) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let head = format!(
        "POST / HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let (first, rest) = body.split_at(body.len() / 2);
    stream.write_all(first).unwrap();
    half_way();
    stream.write_all(rest).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    text.to_owned()
}
