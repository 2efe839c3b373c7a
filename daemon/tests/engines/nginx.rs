use crate::{
    contract::{NginxWorld, Outside, nginx_contract},
    rig::{Rig, eventually, host, kill, serve, unit},
};
use async_trait::async_trait;
use cid_daemon::{
    domain::UnitName,
    system::{
        nginx::{Nginx, RealNginx},
        probe::{Page, Probe},
    },
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

/// A real nginx, with an app for each word.
struct Real {
    rig: Rig,
    nginx: RealNginx,
    first: u16,
    second: u16,
}

#[async_trait]
impl Outside for Real {
    async fn go_down(&self) {
        self.rig.abandon().await;
        kill(self.rig.nginx_pid());
    }
    async fn come_up(&self) {
        self.rig.start().await;
    }
    fn break_foreign(&self) -> Option<String> {
        fs::write(self.rig.foreign_vhost(), "# theirs\nserver { oops; }\n").unwrap();
        Some(format!("{}:2", self.rig.foreign_vhost().display()))
    }
    fn mend_foreign(&self) {
        fs::remove_file(self.rig.foreign_vhost()).unwrap();
    }
}

#[async_trait]
impl NginxWorld for Real {
    fn nginx(&self) -> &dyn Nginx {
        &self.nginx
    }
    fn vhost(&self, unit: &UnitName, word: &'static str) -> String {
        self.rig.vhost(
            unit,
            if word == "first" {
                self.first
            } else {
                self.second
            },
        )
    }
    fn bad_vhost(&self, _: &UnitName) -> String {
        "server { nonsense; }\n".into()
    }
    async fn answer(&self, unit: &UnitName) -> Option<String> {
        match self.rig.get(unit).await {
            (200, body) => body.lines().next().map(str::to_owned),
            (404, _) => None,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let rig = Rig::started().await;
    let real = Real {
        nginx: rig.nginx(),
        first: serve("first").await,
        second: serve("second").await,
        rig,
    };
    nginx_contract(&real).await;
    real.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_the_app_who_asked_for_what() {
    let rig = Rig::started().await;
    let anna = unit("anna");
    rig.nginx()
        .put(&anna, &rig.vhost(&anna, serve("app").await))
        .await
        .unwrap();
    let sent = rig.get(&anna).await.1.to_lowercase();
    for header in [
        format!("host: {}:{}", host(&anna), rig.port),
        "x-forwarded-proto: http".into(),
        "x-forwarded-for: 127.0.0.1".into(),
    ] {
        assert!(sent.contains(&header), "{header} in {sent}");
    }
    assert!(!sent.contains("upgrade"), "{sent}");
    let site = format!("Host: {}", host(&anna));
    let forged = "X-Forwarded-For: 10.0.0.1";
    let sent = rig
        .raw(&[
            "GET / HTTP/1.1",
            &site,
            forged,
            "Connection: Upgrade",
            "Upgrade: websocket",
        ])
        .await
        .to_lowercase();
    assert!(
        sent.contains("connection: upgrade\r\n") && sent.contains("upgrade: websocket\r\n"),
        "{sent}"
    );
    assert!(!sent.contains("10.0.0.1"), "{sent}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_vhost_fails_only_its_own() {
    let rig = Rig::started().await;
    let nginx = Arc::new(rig.nginx());
    let port = serve("app").await;
    let neighbour = unit("neighbour");
    nginx
        .put(&neighbour, &rig.vhost(&neighbour, port))
        .await
        .unwrap();

    let mut puts = Vec::new();
    for i in 0..20 {
        let (nginx, unit) = (Arc::clone(&nginx), unit(&format!("w{i}")));
        let text = if i == 7 {
            "server { nonsense; }\n".to_owned()
        } else {
            rig.vhost(&unit, port)
        };
        puts.push(tokio::spawn(async move {
            (unit.clone(), nginx.put(&unit, &text).await)
        }));
    }
    for put in puts {
        let (unit, result) = put.await.unwrap();
        if unit.as_str() == "shop.w7" {
            let fault = result.unwrap_err();
            assert!(
                fault.message.contains("shop.w7") && fault.message.contains("nonsense"),
                "{fault}"
            );
            assert_eq!(nginx.read(&unit).unwrap(), None);
        } else {
            result.unwrap();
            assert_eq!(rig.get(&unit).await.0, 200, "{unit}");
        }
    }
    // A bad replacement leaves what was there.
    let before = nginx.read(&neighbour).unwrap();
    nginx.put(&neighbour, "}").await.unwrap_err();
    assert_eq!(nginx.read(&neighbour).unwrap(), before);
    assert_eq!(rig.get(&neighbour).await.0, 200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_put_is_finished() {
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let anna = unit("anna");
    let text = rig.vhost(&anna, serve("app").await);
    drop(tokio::time::timeout(Duration::from_millis(1), nginx.put(&anna, &text)).await);
    // The next turn comes after that one.
    nginx.settle().await.unwrap();
    assert_eq!(rig.get(&anna).await.0, 200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_nginx_is_back_within_seconds() {
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let anna = unit("anna");
    nginx
        .put(&anna, &rig.vhost(&anna, serve("app").await))
        .await
        .unwrap();
    let old = rig.nginx_pid();
    kill(old);
    eventually("a new master", Duration::from_secs(5), async || {
        fs::read_to_string(rig.layout.run_dir.join("nginx.pid"))
            .is_ok_and(|pid| !pid.trim().is_empty() && pid.trim() != old.to_string())
    })
    .await;
    eventually("the site answers", Duration::from_secs(5), async || {
        rig.probe
            .get(Page::http(&host(&anna), "/"), Duration::from_secs(1))
            .await
            .is_ok_and(|(status, _)| status == 200)
    })
    .await;
    rig.stop().await;
}

/// A request as it stands, and all of the answer.
pub(crate) async fn exchange(port: u16, request: String) -> String {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap()
}

/// What the app saw as a header; it answers with the request.
fn seen<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let lines = body.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_reaches_an_app_under_another_name() {
    let rig = Rig::started().await;
    let anna = unit("anna");
    let app = serve("app").await;
    rig.nginx()
        .put(&anna, &rig.vhost(&anna, app))
        .await
        .unwrap();
    let (name, port) = (host(&anna), rig.port);
    let upper = name.to_uppercase();
    let forged = "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: evil\r\nX-Forwarded-For: evil\r\n\
        X-Forwarded-Port: 666\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-Server: evil\r\nForwarded: host=evil\r\n\
        X-Original-Host: evil\r\nX-Host: evil\r\nX-Real-IP: evil\r\nProxy: evil\r\n";
    // Request line, headers, and what the app is told is its name; `None`: it is not asked.
    let with_port = format!("{name}:{port}");
    let corpus: Vec<(String, String, Option<&str>)> = vec![
        ("/ HTTP/1.1".into(), format!("Host: {name}"), Some(&name)),
        (
            "/ HTTP/1.1".into(),
            format!("Host: {name}:{port}"),
            Some(&with_port),
        ),
        (
            "/ HTTP/1.1".into(),
            format!("Host: {upper}:{port}"),
            Some(&with_port),
        ),
        ("/ HTTP/1.1".into(), format!("Host: {name}."), Some(&name)),
        ("/ HTTP/1.0".into(), format!("Host: {name}"), Some(&name)),
        (
            format!("http://{name}/ HTTP/1.1"),
            "Host: evil.example".into(),
            Some(&name),
        ),
        (
            format!("http://{name}:{port}/ HTTP/1.1"),
            "Host: evil.example".into(),
            Some(&name),
        ),
        (
            format!("http://{upper}/ HTTP/1.1"),
            format!("Host: evil.example:{port}"),
            Some(&with_port),
        ),
        (
            "http://evil.example/ HTTP/1.1".into(),
            format!("Host: {name}"),
            None,
        ),
        ("/ HTTP/1.1".into(), "Host: evil.example".into(), None),
        ("/ HTTP/1.1".into(), format!("Host: evil.{name}"), None),
        (
            "/ HTTP/1.1".into(),
            format!("Host: {name}.evil.example"),
            None,
        ),
        (
            "/ HTTP/1.1".into(),
            format!("Host: {name}\r\nHost: evil.example"),
            None,
        ),
        (
            "/ HTTP/1.1".into(),
            format!("Host: evil.example\r\nHost: {name}"),
            None,
        ),
        (
            "/ HTTP/1.1".into(),
            format!("Host: {name}@evil.example"),
            None,
        ),
        ("/ HTTP/1.1".into(), format!("Host: {name}/evil"), None),
        ("/ HTTP/1.1".into(), format!("Host: {name} evil"), None),
        ("/ HTTP/1.1".into(), "Host:".into(), None),
        ("/ HTTP/1.1".into(), "X: y".into(), None),
        ("/ HTTP/1.0".into(), "X: y".into(), None),
    ];
    for (line, headers, told) in corpus {
        let request = format!("GET {line}\r\n{headers}\r\n{forged}Connection: close\r\n\r\n");
        let answer = exchange(port, request.clone()).await;
        let Some(told) = told else {
            assert!(!answer.contains("\r\n\r\napp\n"), "{request}{answer}");
            continue;
        };
        assert!(answer.contains("\r\n\r\napp\n"), "{request}{answer}");
        assert_eq!(seen(&answer, "Host"), [told], "{request}");
        assert_eq!(seen(&answer, "X-Forwarded-Host"), [told], "{request}");
        assert_eq!(seen(&answer, "X-Forwarded-Proto"), ["http"], "{request}");
        assert_eq!(seen(&answer, "X-Forwarded-For"), ["127.0.0.1"], "{request}");
        assert!(
            !answer.contains("evil") && !answer.contains("666"),
            "{request}{answer}"
        );
    }
    rig.stop().await;
}
