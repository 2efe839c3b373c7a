//! Files that nginx serves itself: shared media and collected files.

use crate::{
    nginx::exchange,
    rig::{Rig, host, serve, unit},
};
use cid_daemon::{
    config::NginxSettings,
    sandbox::listen_addresses,
    system::{
        nginx::{
            Nginx,
            vhost::{Bounds, HostName, Media, Static, Upstream, Vhost},
        },
        probe::{Page, Probe},
    },
};
use std::{fs, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn media_is_served_but_links_out_of_it_are_not() {
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let anna = unit("anna");
    let media = rig.layout.state_dir.join("media");
    fs::create_dir_all(&media).unwrap();
    fs::write(media.join("a.txt"), "hello").unwrap();
    fs::write(rig.layout.state_dir.join("media-secret"), "secret").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", media.join("out")).unwrap();
    // A link of another owner than its target: without root, it is one as it stands.
    drop(std::os::unix::fs::lchown(
        media.join("out"),
        Some(65534),
        None,
    ));
    let vhost = Vhost {
        unit: anna.clone(),
        server_name: HostName::parse(&host(&anna)).unwrap(),
        listen: listen_addresses(rig.port),
        tls: None,
        plain_too: false,
        upstream: Upstream::Port(serve("app").await),
        media: Some(Media {
            url: "/media/".into(),
            path: media,
            scripts: false,
        }),
        collected: None,
        bounds: (&NginxSettings::default()).into(),
        visit: Default::default(),
        front: "/nowhere/front.sock".into(),
        away: "/nowhere/away".into(),
    };
    nginx.put(&anna, &vhost.render().unwrap()).await.unwrap();
    let get = async |path: &str| {
        rig.probe
            .get(Page::http(&host(&anna), path), Duration::from_secs(5))
            .await
            .unwrap()
    };
    assert_eq!(get("/media/a.txt").await, (200, "hello".to_owned()));
    assert_eq!(get("/media/").await.0, 403);
    assert_eq!(get("/media/out").await.0, 403);
    assert!(get("/media-secret").await.1.starts_with("app\n"));
    assert_ne!(get("/media../media-secret").await.1, "secret");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_begin_with_a_dot_are_not_served_but_for_those_that_are_named() {
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let (anna, app) = (unit("anna"), serve("app").await);
    let folder = rig.layout.state_dir.join("media");
    for path in [
        "a/.b/c",
        ".env",
        ".git/config",
        ".well-known/x",
        ".wellXknown",
        "a/b.c",
        "a/.js",
        "..x",
    ] {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), "secret").unwrap();
    }
    let vhost = |names: &[&str]| Vhost {
        unit: anna.clone(),
        server_name: HostName::parse(&host(&anna)).unwrap(),
        listen: listen_addresses(rig.port),
        tls: None,
        plain_too: false,
        upstream: Upstream::Port(app),
        media: Some(Media {
            url: "/media/".into(),
            path: folder.clone(),
            scripts: false,
        }),
        collected: Some(Static {
            url: "/static/".into(),
            path: folder.clone(),
        }),
        bounds: Bounds {
            dot_files: names.iter().map(|&name| name.to_owned()).collect(),
            ..(&NginxSettings::default()).into()
        },
        visit: Default::default(),
        front: "/nowhere/front.sock".into(),
        away: "/nowhere/away".into(),
    };
    let status = async |path: &str| {
        let host = host(&anna);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = exchange(rig.port, request).await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let served = vhost(&[".well-known"]).render().unwrap();
    nginx.put(&anna, &served).await.unwrap();
    for hidden in [
        // The folder that nginx serves.
        "/media/.env",
        "/media/%2eenv",
        "/media//.env",
        "/media/a/../.env",
        "/media/.git/config",
        "/media/.git/",
        "/media/a/.b/c",
        "/media/a/.js",
        "/media/..x",
        "/media/.wellXknown",
        "/media/.well-known/../.env",
        "/media/.well-knownx",
        // The app, which may serve its tree.
        "/.env",
        "/.env.local",
        "/.git/config",
        "/%2egit/config",
        "//.git/config",
        "/x/%2e%2e/.env",
        "/.env?a=/.well-known/",
        "/.well-known/.env",
        "/.anything",
        // Collected files.
        "/static/.env",
        "/static/a/.b/c",
        "/static/.wellXknown",
        // The app once more.
        "/a/.git/config",
        "/a/.htpasswd",
        "/.well-knownx/y",
    ] {
        assert_eq!(status(hidden).await, "404", "{hidden}");
    }
    for shown in [
        "/media/a/b.c",
        "/media/.well-known/x",
        "/static/.well-known/x",
        "/static/a/b.c",
        "/.well-known/acme-challenge/x",
        "/.well-known",
        "/node_modules/.vite/deps/x.js",
        "/a.b/c.env",
        "/?next=/.env",
    ] {
        assert_eq!(status(shown).await, "200", "{shown}");
    }
    let other = vhost(&[".env", ".b.c"]).render().unwrap();
    nginx.put(&anna, &other).await.unwrap();
    for (path, wanted) in [
        ("/media/.env", "200"),
        ("/.env", "200"),
        ("/.b.c/x", "200"),
        ("/.bxc/x", "404"),
        ("/.env.local", "404"),
        ("/.well-known/x", "404"),
        ("/.git/config", "404"),
    ] {
        assert_eq!(status(path).await, wanted, "{path}");
    }
    nginx
        .put(&anna, &vhost(&[]).render().unwrap())
        .await
        .unwrap();
    assert_eq!(status("/.well-known/x").await, "404");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_media_does_not_run_on_the_sites_that_show_it() {
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let (anna, app) = (unit("anna"), serve("app").await);
    let folder = rig.layout.state_dir.join("media");
    fs::create_dir_all(&folder).unwrap();
    let files = [
        "a.html", "a.svg", "a.xml", "a.js", "a.mjs", "a.JS", "a.pdf", "a.png", "a.mp4", "none",
    ];
    for name in files {
        fs::write(folder.join(name), "0123456789").unwrap();
    }
    let vhost = |scripts| Vhost {
        unit: anna.clone(),
        server_name: HostName::parse(&host(&anna)).unwrap(),
        listen: listen_addresses(rig.port),
        tls: None,
        plain_too: false,
        upstream: Upstream::Port(app),
        media: Some(Media {
            url: "/media/".into(),
            path: folder.clone(),
            scripts,
        }),
        collected: None,
        bounds: (&NginxSettings::default()).into(),
        visit: Default::default(),
        front: "/nowhere/front.sock".into(),
        away: "/nowhere/away".into(),
    };
    let get = async |file: &str, more: &str| {
        let host = host(&anna);
        let request = format!(
            "GET /media/{file} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"
        );
        exchange(rig.port, request).await.to_lowercase()
    };
    nginx
        .put(&anna, &vhost(false).render().unwrap())
        .await
        .unwrap();
    for file in files {
        let answer = get(file, "").await;
        assert!(answer.starts_with("http/1.1 200"), "{file}: {answer}");
        assert!(
            answer.contains("x-content-type-options: nosniff\r\n"),
            "{file}: {answer}"
        );
        let is_sandboxed = answer.contains("content-security-policy: sandbox\r\n");
        assert_eq!(is_sandboxed, file != "a.pdf", "{file}: {answer}");
        let part = get(file, "Range: bytes=2-4\r\n").await;
        assert!(
            part.starts_with("http/1.1 206") && part.ends_with("\r\n\r\n234"),
            "{file}: {part}"
        );
    }
    for (file, kind) in [
        ("a.js", "text/plain"),
        ("a.mjs", "text/plain"),
        ("a.JS", "text/plain"),
        ("a.pdf", "application/pdf"),
        ("a.png", "image/png"),
        ("a.mp4", "video/mp4"),
        ("a.svg", "image/svg+xml"),
    ] {
        let answer = get(file, "").await;
        assert!(
            answer.contains(&format!("content-type: {kind}\r\n")),
            "{file}: {answer}"
        );
    }
    // Also what is not there, and what must not be shown.
    assert!(
        get("gone.html", "")
            .await
            .contains("content-security-policy: sandbox")
    );
    let detour = get("a.pdf/..%2fa.html", "").await;
    assert!(
        detour.contains("content-security-policy: sandbox"),
        "{detour}"
    );
    std::os::unix::fs::symlink("/etc/hostname", folder.join("out.js")).unwrap();
    drop(std::os::unix::fs::lchown(
        folder.join("out.js"),
        Some(65534),
        None,
    ));
    assert!(get("out.js", "").await.starts_with("http/1.1 403"));
    nginx
        .put(&anna, &vhost(true).render().unwrap())
        .await
        .unwrap();
    let wanted = get("a.js", "").await;
    assert!(
        !wanted.contains("content-security-policy") && wanted.contains("javascript"),
        "{wanted}"
    );
    rig.stop().await;
}
