//! Webhooks, over real HTTP, through nginx and the front to the daemon.

use crate::stage::{ANNA, SOON, Stage};
use cid_testkit::{Tree, wait_until};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

const SECRET: &str = "a secret of some length";

fn stage() -> Stage {
    Stage::prepared(&Tree::hello(), |stage| {
        let file = stage.sandbox.home().unwrap().join("hook-secret");
        fs::write(&file, SECRET).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let tables = format!(
            "poll = \"off\"\nwebhook_secret_file = \"{}\"\n[app]\n\
             test = [[\"sh\", \"-c\", \"echo $MODE $DATABASE_URL\"], [\"sh\", \"-c\", \"exit 7\"], [\"true\"]]\n\
             [test]\nenv = {{ MODE = \"gate\" }}\n",
            file.display()
        );
        let toml = stage.server.project_toml("hello", &tables);
        stage.sandbox.write_project("hello", &toml).unwrap();
    })
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    let tag = mac.finalize().into_bytes();
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

impl Stage {
    /// The status of the answer to a delivery; `None`: the connection was closed.
    fn deliver(&self, project: &str, headers: &str, body: &[u8]) -> Option<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.sandbox.http_port())).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let head = format!(
            "POST /hooks/{project} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // One that is refused early need not be read.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        answer.split(' ').nth(1)?.parse().ok()
    }

    fn signed(&self, event: &str, body: &[u8]) -> Option<u16> {
        let headers = format!(
            "Content-Length: {}\r\nX-GitHub-Event: {event}\r\nX-GitHub-Delivery: one\r\nX-Hub-Signature-256: {}\r\n",
            body.len(),
            signature(body)
        );
        self.deliver("hello", &headers, body)
    }
}

#[test]
fn a_signed_delivery_has_the_push_built_and_nothing_else_is_believed() {
    let mut stage = stage();
    let body = b"{\"ref\": \"refs/heads/main\"}";
    let plain = format!("Content-Length: {}\r\n", body.len());
    let of = |name: &str, value: &str| format!("{plain}{name}: {value}\r\n");
    for (project, headers, status) in [
        ("other", plain.clone(), 404),
        ("../hello", plain.clone(), 404),
        ("hello", plain.clone(), 401),
        (
            "hello",
            of("X-Hub-Signature-256", &signature(b"another")),
            401,
        ),
        (
            "hello",
            of("X-Gitlab-Token", "a secret of some lengtH"),
            401,
        ),
        ("hello", of("X-Hub-Signature-256", &"0".repeat(2000)), 401),
        (
            "hello",
            format!(
                "{plain}X-GitHub-Event: ping\r\nX-Hub-Signature-256: {}\r\n",
                signature(body)
            ),
            202,
        ),
    ] {
        let answer = stage.deliver(project, &headers, body);
        assert_eq!(answer, Some(status), "{project} {headers}");
    }
    assert!(stage.json(&["builds"]).as_array().unwrap().is_empty());
    // What is in it is of no account.
    assert_eq!(stage.signed("push", b"\xff\x00 no JSON"), Some(202));
    for _ in 0..40 {
        assert_eq!(stage.signed("push", body), Some(202), "again and again");
    }
    wait_until("the build to begin", SOON, || {
        (!stage.json(&["builds"]).as_array()?.is_empty()).then_some(())
    })
    .unwrap();
    wait_until("what came of it", SOON, || {
        let hooks = stage.json(&["project", "hooks"]);
        let hooks = hooks.as_array()?;
        let built = |hook: &serde_json::Value| {
            hook["outcome"]
                .as_str()?
                .contains("build 1 begins")
                .then_some(())
        };
        hooks.iter().any(|hook| built(hook).is_some()).then_some(())
    })
    .unwrap();
    let counts = |stage: &Stage| {
        let hooks = stage.json(&["project", "hooks"]);
        let hooks = hooks.as_array().unwrap();
        let count = |accepted| {
            hooks
                .iter()
                .filter(|hook| hook["accepted"] == accepted)
                .count()
        };
        (count(true), count(false))
    };
    assert_eq!(counts(&stage), (42, 4));
    // Another daemon knows them too.
    stage.jobs_are_over();
    stage.sandbox.restart().unwrap();
    assert_eq!(counts(&stage), (42, 4));
    let log = stage.sandbox.log();
    assert!(!log.contains(SECRET) && !log.contains(&signature(body)[7..]));

    // The gate's commands in a workspace: the first that fails is the last.
    stage.create(ANNA);
    let tested = stage.cictl_ends(7, &["test", ANNA]);
    assert!(
        tested.stdout.contains("gate sqlite:////"),
        "{}",
        tested.stdout
    );
    assert!(
        tested.stdout.contains("/tmp/test.sqlite3"),
        "{}",
        tested.stdout
    );
    let told = stage
        .sandbox
        .cictl(&["test", ANNA, "--output=json"])
        .unwrap();
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 2, "{told}");
    assert_eq!(told[1]["exit_status"], 7);
}

#[test]
fn a_delivery_that_is_too_large_or_too_slow_is_given_up() {
    let stage = stage();
    let large = vec![b'x'; 20 << 20];
    assert_eq!(stage.signed("push", &large), Some(202));
    // 26 MiB, by its length and in pieces.
    let headers = format!(
        "Content-Length: {}\r\nX-Hub-Signature-256: {}\r\n",
        26 << 20,
        signature(b"")
    );
    assert_eq!(stage.deliver("hello", &headers, b""), Some(413));
    let headers = format!(
        "Transfer-Encoding: chunked\r\nX-Hub-Signature-256: {}\r\n",
        signature(b"")
    );
    let chunk = [b"100000\r\n", &vec![b'x'; 1 << 20][..], b"\r\n"].concat();
    let answer = stage.deliver("hello", &headers, &chunk.repeat(26));
    assert!(matches!(answer, Some(413) | None), "{answer:?}");
    // One that stops half-way.
    let headers = format!(
        "Content-Length: 100\r\nX-Hub-Signature-256: {}\r\n",
        signature(b"")
    );
    let answer = stage.deliver("hello", &headers, b"half");
    assert!(matches!(answer, Some(408) | None), "{answer:?}");
    assert_eq!(stage.signed("push", b"x"), Some(202), "others are taken");
}
