//! Apps that are not for everybody, by the real nginx: who gets there, and what the app learns of it.

use crate::{
    nginx::exchange,
    rig::{Rig, host, serve, unit},
};
use cid_daemon::{
    config::{NginxSettings, Visit},
    sandbox::listen_addresses,
    system::nginx::{
        Nginx,
        vhost::{HostName, Upstream, Vhost},
    },
};
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    thread,
};

/// A front that knows one visitor, of one site, and tells what else it is asked.
fn front(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 16384];
            let length = stream.read(&mut request).unwrap_or_default();
            let asked = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let has = |line: &str| asked.contains(&format!("\r\n{line}\r\n"));
            let is_good = has("x-cid-visit: good.of-anna") && has("x-cid-unit: shop.anna");
            let head = match () {
                () if asked.starts_with("get /.cid/check ") && is_good => {
                    "204 No Content\r\nX-Cid-Person: anna@example.com".to_owned()
                }
                () if asked.starts_with("get /.cid/check ") => "401 Unauthorized".to_owned(),
                () => "303 See Other\r\nLocation: /the-front".to_owned(),
            };
            let body = match head.starts_with("303") {
                true => asked,
                false => String::new(),
            };
            let length = match head.starts_with("204") {
                true => String::new(),
                false => format!("Content-Length: {}\r\n", body.len()),
            };
            let answer = format!("HTTP/1.1 {head}\r\n{length}Connection: close\r\n\r\n{body}");
            drop(stream.write_all(answer.as_bytes()));
        }
    });
}

struct Guarded {
    rig: Rig,
    name: String,
}

impl Guarded {
    async fn new(visit: &str) -> Self {
        let rig = Rig::started().await;
        let anna = unit("anna");
        let socket: PathBuf = rig.layout.run_dir.join("a-front.sock");
        front(&socket);
        let visit: Visit = toml::from_str(visit).unwrap();
        let vhost = Vhost {
            unit: anna.clone(),
            server_name: HostName::parse(&host(&anna)).unwrap(),
            listen: listen_addresses(rig.port),
            tls: None,
            plain_too: false,
            upstream: Upstream::Port(serve("app").await),
            media: None,
            collected: None,
            bounds: (&NginxSettings::default()).into(),
            visit,
            front: socket,
            away: "/nowhere/away".into(),
        };
        rig.nginx()
            .put(&anna, &vhost.render().unwrap())
            .await
            .unwrap();
        let name = host(&anna);
        Self { rig, name }
    }

    /// The status, and all of the answer.
    async fn ask(&self, path: &str, headers: &[&str]) -> (u16, String) {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let name = &self.name;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n{lines}\r\n");
        let answer = exchange(self.rig.port, request).await;
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or_default(), answer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_alone_get_in_and_nobody_forges_who_they_are() {
    let site = Guarded::new("who = \"people\"\nopen = [\"/healthz\", \"/hooks/\"]").await;
    let good = "Cookie: a=1; cid-visit=good.of-anna; b=2";
    let (status, answer) = site
        .ask("/x?y=1", &[good, "X-Cid-Person: root@example.com"])
        .await;
    assert_eq!(status, 200, "{answer}");
    let answer = answer.to_lowercase();
    assert!(answer.contains("app\nget /x?y=1 http/1.1"), "{answer}");
    assert!(
        answer.contains("x-cid-person: anna@example.com"),
        "{answer}"
    );
    assert!(!answer.contains("root@example.com"), "{answer}");
    // The app sees its own cookies, and not the one by which the visitor is known.
    assert!(answer.contains("cookie: a=1; b=2"), "{answer}");
    assert!(!answer.contains("good.of-anna"), "{answer}");
    for cookies in [
        "X-Cid-Person: anna@example.com",
        "Cookie: cid-visit=good.of-bob",
        "Cookie: cid-visit=",
        "Cookie: xcid-visit=good.of-anna",
        "Cookie: cid-visit-state=good.of-anna",
        // One is a neighbour's.
        "Cookie: cid-visit=good.of-anna; cid-visit=good.of-anna",
        "Cookie: cid-visit=good.of-bob; a=1; cid-visit=good.of-anna",
        "X-Cid-Visit: good.of-anna",
    ] {
        let (status, answer) = site.ask("/secret?x=1", &[cookies]).await;
        assert_eq!(status, 303, "{cookies}: {answer}");
        assert!(!answer.contains("app\n"), "{cookies}: {answer}");
        assert!(answer.contains("x-cid-uri: /secret?x=1"), "{answer}");
        // The front is told nothing of the app's cookies.
        assert!(!answer.contains("\r\ncookie:"), "{answer}");
    }
    // Underscores mean the same to apps.
    let (_, answer) = site
        .ask("/", &[good, "X_Cid_Person: root@example.com"])
        .await;
    assert!(!answer.contains("root@example.com"), "{answer}");

    // Left open, and only that.
    for path in [
        "/healthz",
        "/healthz?a=../b",
        "/hooks/",
        "/hooks/a/b.c?x=%2e",
    ] {
        let (status, answer) = site.ask(path, &["X-Cid-Person: root@example.com"]).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert!(!answer.contains("root@example.com"), "{answer}");
    }
    for path in [
        "/hooks",
        "/healthz/",
        "/healthz/../secret",
        "/hooks/../secret",
        "/hooks/%2e%2e/secret",
        "/secret/..%2fhooks/x",
        "/secret/../hooks/x",
        "/hooks/x%20/hooks/y",
        "/secret/..%2fhooks/x%20/hooks/y%3f",
        "/hooks/%252e%252e/secret",
        "/hooks%2fx",
        "//hooks/x",
        "/x?/hooks/",
    ] {
        let (status, answer) = site.ask(path, &[]).await;
        assert_ne!(status, 200, "{path}: {answer}");
        assert!(!answer.contains("app\n"), "{path}: {answer}");
    }
    site.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_and_stays_with_nginx() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("htpasswd");
    // anna:secret
    fs::write(&file, "anna:{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0\n").unwrap();
    let visit = format!(
        "who = \"password\"\npasswords = \"{}\"\nopen = [\"/healthz\"]",
        file.display()
    );
    let site = Guarded::new(&visit).await;
    let right = "Authorization: Basic YW5uYTpzZWNyZXQ=";
    let (status, answer) = site
        .ask("/", &[right, "X-Cid-Person: root@example.com"])
        .await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.contains("YW5uYTpzZWNyZXQ"), "{answer}");
    assert!(!answer.contains("root@example.com"), "{answer}");
    for wrong in ["Authorization: Basic YW5uYTp3cm9uZw==", "X: y"] {
        let (status, answer) = site.ask("/", &[wrong]).await;
        assert_eq!(status, 401, "{answer}");
        assert!(
            answer.to_lowercase().contains("www-authenticate: basic"),
            "{answer}"
        );
        assert!(!answer.contains("app\n"), "{answer}");
    }
    assert_eq!(site.ask("/healthz", &[]).await.0, 200);
    site.rig.stop().await;
}
