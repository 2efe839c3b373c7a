//! Health is what visitors get: each of its states, in `show`, `list` and `doctor`.

use crate::stage::{ANNA, SOON, Stage};
use cid_testkit::{Tree, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{fs, net::TcpListener};

/// Answers as the file `status` in its tree says, and counts what it is asked.
const APP: &str = r#"import http.server, os, time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("asked", "a") as asked:
            asked.write("x")
        body = f"hello from {os.environ['CID_WORKSPACE']}\n".encode()
        self.send_response(int(open("status").read()))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


with open("pid", "w") as pid:
    pid.write(str(os.getpid()))
while os.path.exists("wait"):
    time.sleep(0.1)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;
/// Runs until the file `die` is there.
const WORKER: &str = "worker: while [ ! -e die ]; do sleep 0.1; done; echo no broker; exit 3\n";

fn stage() -> Stage {
    let procfile = format!("web: python3 app.py\n{WORKER}");
    let tree = Tree::hello()
        .with("Procfile", &procfile)
        .with("app.py", APP)
        .with("status", "200");
    Stage::of(&tree, "")
}

/// Until `show` says so; gives what it says then.
#[track_caller]
fn becomes(stage: &Stage, health: &str) -> Value {
    wait_until(&format!("health to be {health}"), SOON, || {
        let shown = stage.show(ANNA).json;
        (shown["health"] == health).then_some(shown)
    })
    .unwrap()
}

fn process<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let all = shown["processes"].as_array().unwrap();
    all.iter().find(|process| process["name"] == name).unwrap()
}

#[test]
fn every_process_counts_and_is_told() {
    let stage = stage();
    let anna = stage.create(ANNA);
    let shown = becomes(&stage, "up");
    for name in ["web", "worker"] {
        let process = process(&shown, name);
        assert_eq!(process["state"], "running", "{process}");
        assert_eq!(process["restarts"], 0, "{process}");
        assert!(process["memory"].as_u64().unwrap() > 100_000, "{process}");
        assert!(process["since"].is_string(), "{process}");
    }
    assert_eq!(shown["health_message"], Value::Null);
    let text = stage.cictl_ends(0, &["show", ANNA]).stdout;
    assert!(text.contains("\nPROCESS  STATE"), "{text}");
    stage.cictl_ends(0, &["doctor"]);

    // A worker that dies every now and then, though it is up again each time.
    fs::write(anna.tree().join("die"), "").unwrap();
    let shown = becomes(&stage, "crashing");
    let message = shown["health_message"].as_str().unwrap();
    assert!(
        message.contains("worker has ended") && message.contains("exit status 3"),
        "{message}"
    );
    let worker = wait_until("a restart", SOON, || {
        let worker = process(&stage.show(ANNA).json, "worker").clone();
        (worker["restarts"].as_u64()? >= 1).then_some(worker)
    })
    .unwrap();
    assert_eq!(worker["state"], "crashing", "{worker}");
    assert_eq!(worker["last_end"], "exit status 3", "{worker}");
    assert_eq!(worker["last_lines"][0], "no broker", "{worker}");
    assert_eq!(process(&shown, "web")["state"], "running");
    assert_eq!(stage.json(&["list"])[0]["health"], "crashing");
    let text = stage.cictl_ends(0, &["show", ANNA]).stdout;
    assert!(
        text.contains("last lines of worker:\n    no broker"),
        "{text}"
    );
    let doctor = stage.cictl_ends(1, &["doctor"]).stdout;
    assert!(
        doctor.contains("process hello.anna---example-com:worker: it is crashing")
            && doctor.contains("exit status 3"),
        "{doctor}"
    );
    // Its site goes on, and a restart makes it new.
    stage.answers(&anna);
    fs::remove_file(anna.tree().join("die")).unwrap();
    stage.cictl_ends(0, &["restart", ANNA]);
    let shown = becomes(&stage, "up");
    assert_eq!(process(&shown, "worker")["restarts"], 0);
    stage.cictl_ends(0, &["doctor"]);
}

#[test]
fn visitors_decide_and_are_asked_rarely() {
    let stage = stage();
    let anna = stage.create(ANNA);
    let (asked, status) = (anna.tree().join("asked"), anna.tree().join("status"));
    stage.cictl_ends(0, &["restart", ANNA]);
    fs::write(&asked, "").unwrap();
    for _ in 0..3 {
        assert_eq!(stage.show(ANNA).json["health"], "up");
        assert_eq!(stage.json(&["list"])[0]["health"], "up");
    }
    // `restart` may have asked already.
    assert!(fs::read_to_string(&asked).unwrap().len() <= 1);

    // Every page is an error, though the process runs well. Another process is asked at once.
    fs::write(&status, "500").unwrap();
    let pid = fs::read_to_string(anna.tree().join("pid")).unwrap();
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    let shown = becomes(&stage, "failing");
    let message = shown["health_message"].as_str().unwrap();
    assert_eq!(message, "/ answers with status 500");
    assert!(shown["health_since"].is_string());
    assert_eq!(process(&shown, "web")["state"], "running");
    assert_eq!(stage.json(&["list"])[0]["health"], "failing");
    let doctor = stage.cictl_ends(1, &["doctor"]).stdout;
    assert!(
        doctor.contains("page of hello.anna---example-com: it is failing: since "),
        "{doctor}"
    );
    assert_eq!(
        process(&shown, "web")["last_end"],
        "exit status 137 (SIGKILL)"
    );
    fs::write(&status, "200").unwrap();
    stage.cictl_ends(0, &["restart", ANNA]);
    becomes(&stage, "up");
}

#[test]
fn an_app_that_does_not_listen_yet_is_starting() {
    let mut stage = stage();
    let anna = stage.create(ANNA);
    fs::write(anna.tree().join("wait"), "").unwrap();
    // As after a boot: nginx is there before the app is.
    stage.sandbox.stop().unwrap();
    stage.sandbox.start().unwrap();
    let shown = becomes(&stage, "starting");
    assert_eq!(shown["health_message"], "it does not answer yet");
    assert_eq!(stage.json(&["list"])[0]["health"], "starting");
    // That it does not listen yet is no finding.
    stage.cictl_ends(0, &["doctor"]);

    // Another program does, at the app's port: what visitors get is not the app's.
    let other = TcpListener::bind(("127.0.0.1", anna.port())).unwrap();
    let shown = becomes(&stage, "failing");
    let told = format!("process {} (", std::process::id());
    let message = shown["health_message"].as_str().unwrap();
    assert!(
        message.starts_with(&told) && message.contains("listens on its port"),
        "{message}"
    );
    stage.cictl_ends(1, &["doctor"]);
    fs::remove_file(anna.tree().join("wait")).unwrap();
    // A restart says that it is not the app's fault, and a deployment takes another port, though nothing else has
    // changed since.
    let said = stage.cictl_ends(1, &["restart", ANNA]).text();
    assert!(
        said.contains(&told) && said.contains(": cictl deploy "),
        "{said}"
    );
    let found = stage.cictl_ends(1, &["doctor"]).text();
    assert!(
        found.contains(&told) && found.contains("listens on its port"),
        "{found}"
    );
    stage.cictl_ends(0, &["deploy", ANNA]);
    assert_ne!(stage.show(ANNA).port(), anna.port());
    becomes(&stage, "up");
    stage.answers(&anna);
    drop(other);
    stage.cictl_ends(0, &["doctor"]);
}
