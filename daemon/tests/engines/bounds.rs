//! How nginx passes answers on, and the bounds of headers and bodies.

use crate::{
    nginx::exchange,
    rig::{Rig, host, unit},
};
use cid_daemon::{
    config::NginxSettings,
    sandbox::listen_addresses,
    system::nginx::{
        Nginx,
        vhost::{HostName, Upstream, Vhost},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An app that sends half of its answer and the rest when it is told to; its answers begin with `head`.
async fn halting(head: &'static str) -> (u16, Arc<tokio::sync::Notify>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let go_on = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&go_on);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let length = stream.read(&mut request).await.unwrap();
                let method = request[..length]
                    .split(|b| *b == b' ')
                    .next()
                    .unwrap()
                    .to_vec();
                let method = String::from_utf8(method).unwrap();
                let answer =
                    format!("HTTP/1.1 200 OK\r\n{head}Connection: close\r\n\r\ndata: {method}\n\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                told.notified().await;
                stream.write_all(b"data: end\n\n").await.unwrap();
            });
        }
    });
    (port, go_on)
}

/// The answer so far, which must hold `wanted`, and what comes when the app goes on.
async fn first_part(port: u16, request: String, wanted: &str, go_on: &tokio::sync::Notify) {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = async {
        let mut part = vec![0; 4096];
        while !String::from_utf8_lossy(&answer).contains(wanted) {
            let length = stream.read(&mut part).await.unwrap();
            assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend(&part[..length]);
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), read).await;
    go_on.notify_one();
    assert!(in_time.is_ok(), "held back: {request}");
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("data: end"));
}

fn settings(text: &str) -> NginxSettings {
    toml::from_str(text).unwrap()
}

fn served(rig: &Rig, app: u16, settings: &NginxSettings) -> String {
    let vhost = Vhost {
        unit: unit("anna"),
        server_name: HostName::parse(&host(&unit("anna"))).unwrap(),
        listen: listen_addresses(rig.port),
        tls: None,
        plain_too: false,
        upstream: Upstream::Port(app),
        media: None,
        collected: None,
        bounds: settings.into(),
        visit: Default::default(),
        front: "/nowhere/front.sock".into(),
        away: "/nowhere/away".into(),
    };
    vhost.render().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_as_they_are_sent() {
    let rig = Rig::started().await;
    let (nginx, anna) = (rig.nginx(), unit("anna"));
    let host = host(&anna);
    let request = |method: &str, more: &str| {
        format!("{method} /events HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n")
    };
    let events = "Accept: text/event-stream\r\n";
    let (app, go_on) = halting("Content-Type: text/event-stream\r\n").await;
    nginx
        .put(&anna, &served(&rig, app, &settings("")))
        .await
        .unwrap();
    first_part(rig.port, request("GET", events), "data: GET", &go_on).await;
    let post = "Accept: application/json, Text/Event-Stream\r\nContent-Length: 4\r\n";
    let post = format!("{}body", request("POST", post));
    first_part(rig.port, post, "data: POST", &go_on).await;

    nginx
        .put(&anna, &served(&rig, app, &settings("buffering = false")))
        .await
        .unwrap();
    first_part(rig.port, request("GET", ""), "data: GET", &go_on).await;

    let (app, go_on) = halting("X-Accel-Buffering: no\r\n").await;
    nginx
        .put(&anna, &served(&rig, app, &settings("")))
        .await
        .unwrap();
    first_part(rig.port, request("GET", ""), "data: GET", &go_on).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_bodies_have_the_bounds_of_the_project() {
    let rig = Rig::started().await;
    let (nginx, anna) = (rig.nginx(), unit("anna"));
    let long = "x".repeat(20_000);
    let head: &'static str = format!("Set-Cookie: a={long}\r\n").leak();
    let (app, go_on) = halting(head).await;
    let name = host(&anna);
    let status = async |more: String| {
        go_on.notify_one();
        let request = format!("POST / HTTP/1.1\r\nHost: {name}\r\n{more}Connection: close\r\n\r\n");
        let answer = exchange(rig.port, request).await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    nginx
        .put(&anna, &served(&rig, app, &settings("")))
        .await
        .unwrap();
    assert_eq!(status(String::new()).await, "200");
    assert_eq!(status(format!("Cookie: a={long}\r\n")).await, "200");

    let small = settings("header_buffer = \"4K\"\nmax_body = \"1M\"\nread_timeout = \"500ms\"");
    nginx.put(&anna, &served(&rig, app, &small)).await.unwrap();
    assert_eq!(status(String::new()).await, "502");
    assert_eq!(status(format!("Cookie: a={long}\r\n")).await, "400");
    assert_eq!(status("Content-Length: 1048577\r\n".into()).await, "413");

    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    nginx.put(&anna, &served(&rig, port, &small)).await.unwrap();
    assert_eq!(status(String::new()).await, "504");
    rig.stop().await;
}
