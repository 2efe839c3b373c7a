use crate::{
    contract::running,
    rig::{Rig, command_line, eventually, serve, unit},
};
use cid_daemon::system::{
    nginx::Nginx,
    probe::{Page, Probe},
    supervisor::Supervisor,
};
use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_comes_back_adopts_what_runs() {
    let rig = Rig::started().await;
    let anna = unit("anna");
    rig.nginx()
        .put(&anna, &rig.vhost(&anna, serve("app").await))
        .await
        .unwrap();
    rig.supervisor()
        .put(&anna, &rig.program(&anna, &[("web", "exec sleep 1000")]))
        .await
        .unwrap();
    let before = (
        rig.nginx_pid(),
        rig.supervisord_pid(),
        running(&rig.supervisor(), &anna).await,
    );
    rig.abandon().await;
    // The folder of pid files may have been emptied.
    fs::remove_file(rig.layout.run_dir.join("nginx.pid")).unwrap();
    rig.start().await;
    assert_eq!(
        (
            rig.nginx_pid(),
            rig.supervisord_pid(),
            running(&rig.supervisor(), &anna).await
        ),
        before
    );
    rig.nginx().settle().await.unwrap();
    assert_eq!(rig.get(&anna).await.0, 200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_leaves_nothing() {
    let rig = Rig::started().await;
    let anna = unit("anna");
    let stubborn = "trap '' TERM; (setsid sleep 1001 &) ; sleep 1000";
    rig.supervisor()
        .put(&anna, &rig.program(&anna, &[("web", stubborn)]))
        .await
        .unwrap();
    running(&rig.supervisor(), &anna).await;
    let dir = rig.layout.run_dir.parent().unwrap().display().to_string();
    rig.engines().stop().await.unwrap();
    assert_eq!(rig.apps(), Vec::<u32>::new());
    let own = std::process::id().to_string();
    let left = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid = entry
                .file_name()
                .to_str()?
                .parse()
                .ok()
                .filter(|pid: &u32| pid.to_string() != own)?;
            Some(command_line(pid)).filter(|line| line.contains(&dir))
        });
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
    assert!(rig.probe.port_is_free(rig.port));
    let mut names: Vec<_> = fs::read_dir(&rig.layout.run_dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["apps", "supervisor"]);
    for dir in [rig.layout.app_pid_dir(), rig.layout.supervisor_dir()] {
        assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
    }
    // And it can be started again.
    drop(rig);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_file_of_ours_keeps_nobody_down() {
    let rig = Rig::new();
    let (anna, bob, carl) = (unit("anna"), unit("bob"), unit("carl"));
    fs::create_dir_all(rig.layout.vhost_dir()).unwrap();
    fs::create_dir_all(rig.layout.program_dir()).unwrap();
    let program = |unit: &str| rig.layout.program_dir().join(format!("shop.{unit}.conf"));
    fs::write(
        rig.layout.vhost_dir().join("shop.anna.conf"),
        "server { oops",
    )
    .unwrap();
    fs::write(
        rig.layout.vhost_dir().join("shop.bob.conf"),
        rig.vhost(&bob, serve("app").await),
    )
    .unwrap();
    fs::write(program("anna"), "[program:x]\ncommand=%\n").unwrap();
    // As a disk may leave it: supervisord names it in a line of its own.
    fs::write(program("nulls"), "\0\0\0\0").unwrap();
    fs::write(
        program("bob"),
        rig.program(&bob, &[("web", "exec sleep 1000")]),
    )
    .unwrap();
    fs::write(
        program("carl"),
        rig.program(&carl, &[("web", "exec sleep 1000")]),
    )
    .unwrap();
    fs::remove_dir(rig.layout.app_log_dir(&carl)).unwrap();
    rig.start().await;
    let stands_in = rig.nginx().read(&anna).unwrap().unwrap();
    assert!(stands_in.contains("set aside by cid"), "{stands_in}");
    assert!(
        rig.layout
            .vhost_dir()
            .join("shop.anna.conf.broken")
            .exists()
    );
    assert_eq!(
        rig.supervisor().list().unwrap(),
        [bob.clone(), carl.clone()]
    );
    assert_eq!(rig.get(&bob).await.0, 200);
    assert_eq!(rig.get(&anna).await.0, 404);
    running(&rig.supervisor(), &bob).await;
    running(&rig.supervisor(), &carl).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_of_the_operators_is_named() {
    let rig = Rig::new();
    fs::create_dir_all(rig.foreign_vhost().parent().unwrap()).unwrap();
    fs::write(rig.foreign_vhost(), "\n\noops;\n").unwrap();
    let fault = rig.try_start().await.map(drop).unwrap_err();
    assert!(
        fault
            .message
            .contains(&format!("{}:3", rig.foreign_vhost().display())),
        "{fault}"
    );
    fs::write(rig.foreign_vhost(), "# mended\n").unwrap();
    rig.try_start().await.unwrap().stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_told_with_its_holder() {
    let rig = Rig::new();
    let taken = TcpListener::bind(("127.0.0.1", rig.port)).unwrap();
    let fault = rig.try_start().await.map(drop).unwrap_err();
    let wanted = format!(
        "cannot listen on 127.0.0.1:{}: process {}",
        rig.port,
        std::process::id()
    );
    assert!(fault.message.starts_with(&wanted), "{fault}");
    drop(taken);
    rig.try_start().await.unwrap().stop().await.unwrap();
}

/// Stands for the front: tells what it was asked, in one event after the other.
const FRONT: &str = r#"#!/usr/bin/python3
import os, socket, sys, time
path = sys.argv[2].removeprefix('unix:')
if os.path.exists(path): os.unlink(path)
door = socket.socket(socket.AF_UNIX)
door.bind(path)
door.listen()
while True:
    caller, _ = door.accept()
    caller.recv(4096)
    caller.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n')
    caller.send(f'data: {os.getpid()} {sys.argv[3:]}\n\n'.encode())
    time.sleep(float('PAUSE'))
    caller.close()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_front_answers_at_localhost_and_follows_its_program() {
    let rig = Rig::new();
    let program = rig.bin_dir().join("cid-web");
    let install = |pause: &str| {
        fs::create_dir_all(rig.bin_dir()).unwrap();
        let fresh = program.with_extension("new");
        fs::write(&fresh, FRONT.replace("PAUSE", pause)).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(fresh, &program).unwrap();
    };
    install("0.01");
    rig.start().await;
    let get = async |host: &str| {
        rig.probe
            .get(Page::http(host, "/"), Duration::from_secs(5))
            .await
            .unwrap()
    };
    eventually("the front answers", Duration::from_secs(10), async || {
        get("localhost").await.0 == 200
    })
    .await;
    let (_, body) = get("127.0.0.1").await;
    assert!(
        body.contains("--socket") && body.contains(&rig.layout.web_socket().display().to_string()),
        "{body}"
    );
    assert_eq!(get("nobody.localhost").await.0, 404);

    // A daemon that comes back without a front stops it.
    rig.abandon().await;
    fs::remove_file(&program).unwrap();
    rig.start().await;
    assert_eq!(get("localhost").await.0, 502);
    rig.abandon().await;
    install("30");
    rig.start().await;
    eventually(
        "the front answers again",
        Duration::from_secs(10),
        async || {
            // What is sent at once arrives at once, though the answer is not over for long.
            rig.raw(&["GET / HTTP/1.1", "Host: localhost"])
                .await
                .contains("data: ")
        },
    )
    .await;
    rig.stop().await;
}
