//! A project's one site: it leads to each workspace's socket, and to nothing else.

use crate::{
    nginx::exchange,
    rig::{Rig, serve, unit},
};
use cid_daemon::{
    config::NginxSettings,
    domain::UnitName,
    sandbox::listen_addresses,
    system::nginx::{
        Nginx,
        vhost::{HostName, Static, Upstream, Vhost},
    },
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

const ANNA: &str = "anna---example-com";
const BOB: &str = "bob---example-com";
const NOBODY: &str = "No such workspace";

/// The site of a project with this domain and these folders.
fn site(rig: &Rig, unit: &UnitName, domain: &str, folder: &Path) -> String {
    let site = Vhost {
        unit: unit.clone(),
        server_name: HostName::parse(domain).unwrap(),
        listen: listen_addresses(rig.port),
        tls: None,
        plain_too: false,
        upstream: Upstream::Workspaces(folder.to_owned()),
        media: None,
        collected: Some(Static {
            url: "/static/".into(),
            path: "static/files".into(),
        }),
        bounds: (&NginxSettings::default()).into(),
        visit: Default::default(),
        front: "/nowhere/front.sock".into(),
        away: "/nowhere/away".into(),
    };
    site.render().unwrap()
}

fn folder(rig: &Rig, project: &str) -> PathBuf {
    let folder = rig.layout.work_root.join(project);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// An app on the socket of a workspace: it answers with a word and the request, or echoes where it is asked to
/// upgrade the connection.
fn app(folder: &Path, name: &str, word: &'static str) {
    fs::create_dir_all(folder.join(name).join("run")).unwrap();
    listen(&folder.join(name).join("run/web.sock"), word);
}

fn listen(socket: &Path, word: &'static str) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut request = [0; 16384];
                let length = stream.read(&mut request).unwrap_or_default();
                let asked = String::from_utf8_lossy(&request[..length]).into_owned();
                if asked.to_lowercase().contains("upgrade: websocket") {
                    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
                    drop(stream.write_all(head.as_bytes()));
                    while let Ok(length @ 1..) = stream.read(&mut request) {
                        drop(stream.write_all(&request[..length]));
                    }
                    return;
                }
                let body = format!("{word}\n{asked}");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                drop(stream.write_all(answer.as_bytes()));
            });
        }
    });
}

async fn get(rig: &Rig, line: &str, host: &str) -> String {
    let request = format!("GET {line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    exchange(rig.port, request).await
}

/// nginx's workers: others after a reload.
fn workers(rig: &Rig) -> Vec<String> {
    let pid = rig.nginx_pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn workspaces_come_and_go_without_a_reload_and_cut_nobody_off() {
    let rig = Rig::started().await;
    let folder = folder(&rig, "shop");
    let all = UnitName::catch_all(&unit("anna").project());
    let nginx = rig.nginx();
    nginx
        .put(&all, &site(&rig, &all, "shop.localhost", &folder))
        .await
        .unwrap();
    let before = workers(&rig);
    let of_anna = format!("{ANNA}.shop.localhost");
    assert!(get(&rig, "/", &of_anna).await.contains(NOBODY));
    app(&folder, ANNA, "anna");
    let mut socket = TcpStream::connect(("127.0.0.1", rig.port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {of_anna}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    socket.write_all(upgrade.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let length = socket.read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 101"));

    let of_bob = format!("{BOB}.shop.localhost");
    for _ in 0..3 {
        app(&folder, BOB, "bob");
        let answer = get(&rig, "/a%2Fb/../c?d=e", &of_bob).await;
        assert!(
            answer.contains("\r\n\r\nbob\nGET /a%2Fb/../c?d=e "),
            "{answer}"
        );
        // It is stopped, and then gone.
        fs::remove_file(folder.join(BOB).join("run/web.sock")).unwrap();
        let answer = get(&rig, "/", &of_bob).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("Retry-After: 5"), "{answer}");
        fs::remove_dir_all(folder.join(BOB)).unwrap();
        let answer = get(&rig, "/", &of_bob).await;
        assert!(
            answer.starts_with("HTTP/1.1 404") && answer.contains(NOBODY),
            "{answer}"
        );
    }
    socket.write_all(b"still here").unwrap();
    let length = socket.read(&mut answer).unwrap();
    assert_eq!(&answer[..length], b"still here");
    // One of before its site was put there may have gone meanwhile.
    assert!(workers(&rig).iter().all(|worker| before.contains(worker)));
    drop(socket);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_host_name_leads_to_another_socket_than_a_workspaces() {
    let rig = Rig::started().await;
    let (shop, inner) = (folder(&rig, "shop"), folder(&rig, "inner"));
    let nginx = rig.nginx();
    let all = UnitName::catch_all(&unit("anna").project());
    // Its domain is below the other project's.
    let other = UnitName::parse("inner.catch-all").unwrap();
    for (unit, domain, folder) in [
        (&all, "shop.localhost", &shop),
        (&other, "in.shop.localhost", &inner),
    ] {
        let site = site(&rig, unit, domain, folder);
        nginx.put(unit, &site).await.unwrap();
    }
    app(&shop, ANNA, "anna");
    app(&inner, ANNA, "inner");
    // Folders beside the workspaces', a stage, and what leads out.
    for name in [".trash", ".kept", "test", "a.b--c", "A--B", "-a--b"] {
        app(&shop, name, "secret");
    }
    let longest = format!("{}--{}", "a".repeat(19), "b".repeat(19));
    app(&shop, &longest, "longest");
    let longer = format!("{longest}b");
    app(&shop, &longer, "secret");
    let outside = rig.layout.state_dir.join("outside--x");
    fs::create_dir_all(outside.join("run")).unwrap();
    listen(&outside.join("run/web.sock"), "secret");
    fs::write(shop.join("file--x"), "secret").unwrap();

    let name = format!("{ANNA}.shop.localhost");
    let port = rig.port;
    // Request line, Host, and the word that answers with the name that the app is told; `None`: it is not asked.
    type Answered = Option<(&'static str, String)>;
    let corpus: Vec<(String, String, Answered)> = vec![
        ("/".into(), name.clone(), Some(("anna", name.clone()))),
        (
            "/".into(),
            format!("{}:{port}", name.to_uppercase()),
            Some(("anna", format!("{name}:{port}"))),
        ),
        ("/".into(), format!("{name}."), Some(("anna", name.clone()))),
        (
            format!("http://{name}/"),
            "evil.example".into(),
            Some(("anna", name.clone())),
        ),
        (
            format!("http://{name}?x=/../y"),
            "evil.example".into(),
            Some(("anna", name.clone())),
        ),
        ("http://evil.example/".into(), name.clone(), None),
        (
            "/".into(),
            format!("{ANNA}.in.shop.localhost"),
            Some(("inner", format!("{ANNA}.in.shop.localhost"))),
        ),
        (
            "/".into(),
            format!("{longest}.shop.localhost"),
            Some(("longest", format!("{longest}.shop.localhost"))),
        ),
        ("/".into(), format!("{longer}.shop.localhost"), None),
        ("/".into(), format!("x.{name}"), None),
        ("/".into(), format!("{name}.evil.example"), None),
        ("/".into(), format!("{ANNA}.shopxlocalhost"), None),
        ("/".into(), "test.shop.localhost".into(), None),
        ("/".into(), "file--x.shop.localhost".into(), None),
        ("/".into(), ".trash.shop.localhost".into(), None),
        ("/".into(), "-a--b.shop.localhost".into(), None),
        ("/".into(), "a.b--c.shop.localhost".into(), None),
        ("/".into(), "a%2Fb--c.shop.localhost".into(), None),
        ("/".into(), "..--x.shop.localhost".into(), None),
        (
            "/".into(),
            "../../state/outside--x.shop.localhost".into(),
            None,
        ),
        ("/".into(), "$cid_name--.shop.localhost".into(), None),
        ("/".into(), "shop.localhost".into(), None),
        ("/".into(), "*.shop.localhost".into(), None),
        ("/".into(), String::new(), None),
        ("/.cid/nobody".into(), name.clone(), None),
        ("/.cid/".into(), name.clone(), None),
    ];
    for (line, host, expected) in corpus {
        let answer = get(&rig, &line, &host).await;
        let Some((word, told)) = expected else {
            assert!(
                !answer.starts_with("HTTP/1.1 200"),
                "{line} {host}: {answer}"
            );
            assert!(!answer.contains("secret"), "{line} {host}: {answer}");
            continue;
        };
        assert!(
            answer.contains(&format!("\r\n\r\n{word}\n")),
            "{line} {host}: {answer}"
        );
        let hosts: Vec<_> = answer.lines().filter(|l| l.starts_with("Host: ")).collect();
        assert_eq!(hosts, [format!("Host: {told}")], "{line} {host}");
    }

    // What a workspace's own vhost says goes first, as that of an app on a port does.
    let own = unit(ANNA);
    nginx
        .put(&own, &rig.vhost(&own, serve("on a port").await))
        .await
        .unwrap();
    assert!(get(&rig, "/", &name).await.contains("\r\n\r\non a port\n"));
    nginx.remove(&own).await.unwrap();
    assert!(get(&rig, "/", &name).await.contains("\r\n\r\nanna\n"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_workspace_gives_its_own_collected_files() {
    let rig = Rig::started().await;
    let folder = folder(&rig, "shop");
    let all = UnitName::catch_all(&unit("anna").project());
    let nginx = rig.nginx();
    nginx
        .put(&all, &site(&rig, &all, "shop.localhost", &folder))
        .await
        .unwrap();
    for name in [ANNA, BOB] {
        let files = folder.join(name).join("static/files");
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("a.css"), format!("of {name}")).unwrap();
        fs::write(files.join(".env"), "secret").unwrap();
        symlink(folder.join(BOB).join("static"), files.join("link")).unwrap();
        let answer = get(&rig, "/static/a.css", &format!("{name}.shop.localhost")).await;
        assert!(answer.ends_with(&format!("of {name}")), "{answer}");
        for hidden in [
            "/static/.env",
            "/static/link/files/a.css",
            "/static../run/web.sock",
            "/static/../../bob---example-com/static/files/a.css",
        ] {
            let answer = get(&rig, hidden, &format!("{name}.shop.localhost")).await;
            assert!(!answer.starts_with("HTTP/1.1 200"), "{hidden}: {answer}");
        }
    }
    rig.stop().await;
}
