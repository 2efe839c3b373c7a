use crate::rig::{Rig, eventually, host, kill, serve, unit};
use cid_daemon::system::{Effect, nginx::Nginx, probe::Probe};
use std::{fs, sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn a_vhost_answers_from_put_to_remove() {
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let (anna, bob) = (unit("anna"), unit("bob"));
    let (first, second) = (serve("first").await, serve("second").await);

    assert_eq!(rig.get(&anna).await.0, 404);
    nginx.put(&anna, &rig.vhost(&anna, first)).await.unwrap();
    let (status, body) = rig.get(&anna).await;
    assert!(status == 200 && body.starts_with("first\n"), "{status} {body}");
    let sent = body.to_lowercase();
    for header in [format!("host: {}:{}", host(&anna), rig.port), "x-forwarded-proto: http".into(), "x-forwarded-for: 127.0.0.1".into()] {
        assert!(sent.contains(&header), "{header} in {body}");
    }
    assert_eq!(nginx.read(&anna).unwrap(), Some(rig.vhost(&anna, first)));
    assert_eq!(nginx.list().unwrap(), [anna.clone()]);
    assert_eq!(rig.get(&bob).await.0, 404);

    for (port, text) in [(second, "second\n"), (first, "first\n"), (second, "second\n")] {
        nginx.put(&anna, &rig.vhost(&anna, port)).await.unwrap();
        assert!(rig.get(&anna).await.1.starts_with(text), "the old vhost answers after put");
    }

    assert_eq!(nginx.remove(&anna).await, Ok(Effect::Done));
    assert_eq!(rig.get(&anna).await.0, 404);
    assert_eq!(nginx.remove(&anna).await, Ok(Effect::Done));
    assert_eq!(nginx.read(&anna).unwrap(), None);
    nginx.settle().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_vhost_fails_only_its_own() {
    let rig = Rig::started().await;
    let nginx = Arc::new(rig.nginx());
    let port = serve("app").await;
    let neighbour = unit("neighbour");
    nginx.put(&neighbour, &rig.vhost(&neighbour, port)).await.unwrap();

    let mut puts = Vec::new();
    for i in 0..20 {
        let (nginx, unit) = (Arc::clone(&nginx), unit(&format!("w{i}")));
        let text = if i == 7 { "server { nonsense; }\n".to_owned() } else { rig.vhost(&unit, port) };
        puts.push(tokio::spawn(async move { (unit.clone(), nginx.put(&unit, &text).await) }));
    }
    for put in puts {
        let (unit, result) = put.await.unwrap();
        if unit.as_str() == "shop.w7" {
            let fault = result.unwrap_err();
            assert!(fault.message.contains("shop.w7") && fault.message.contains("nonsense"), "{fault}");
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
async fn a_foreign_broken_file_is_blamed_by_name() {
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let port = serve("app").await;
    let (anna, bob) = (unit("anna"), unit("bob"));
    nginx.put(&anna, &rig.vhost(&anna, port)).await.unwrap();

    fs::write(rig.foreign_vhost(), "# theirs\nserver { oops; }\n").unwrap();
    let fault = nginx.put(&bob, &rig.vhost(&bob, port)).await.unwrap_err();
    let place = format!("{}:2", rig.foreign_vhost().display());
    assert!(fault.message.contains(&place) && fault.hint.is_some(), "{fault:?}");
    assert_eq!(nginx.read(&bob).unwrap(), None);
    assert_eq!(rig.get(&anna).await.0, 200);

    // To take away is always possible; nginx is told later.
    let Effect::Owed(reason) = nginx.remove(&anna).await.unwrap() else { panic!("not owed") };
    assert!(reason.contains(&place), "{reason}");
    assert_eq!(nginx.read(&anna).unwrap(), None);
    assert!(nginx.settle().await.unwrap_err().message.contains(&place));
    fs::remove_file(rig.foreign_vhost()).unwrap();
    nginx.settle().await.unwrap();
    assert_eq!(rig.get(&anna).await.0, 404);
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
async fn nginx_down_refuses_puts_and_owes_removals() {
    let mut rig = Rig::started().await;
    let nginx = rig.nginx();
    let port = serve("app").await;
    let (anna, bob) = (unit("anna"), unit("bob"));
    nginx.put(&anna, &rig.vhost(&anna, port)).await.unwrap();
    rig.abandon().await;
    kill(rig.nginx_pid());

    let fault = nginx.put(&bob, &rig.vhost(&bob, port)).await.unwrap_err();
    assert!(fault.message.contains("does not run") && fault.hint.is_some(), "{fault:?}");
    assert_eq!(nginx.read(&bob).unwrap(), None);
    assert!(matches!(nginx.remove(&anna).await, Ok(Effect::Owed(_))));
    assert_eq!(nginx.list().unwrap(), []);

    rig.start().await;
    assert_eq!(rig.get(&anna).await.0, 404);
    nginx.put(&bob, &rig.vhost(&bob, port)).await.unwrap();
    assert_eq!(rig.get(&bob).await.0, 200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_nginx_is_back_within_seconds() {
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let anna = unit("anna");
    nginx.put(&anna, &rig.vhost(&anna, serve("app").await)).await.unwrap();
    let old = rig.nginx_pid();
    kill(old);
    eventually("a new master", Duration::from_secs(5), async || {
        fs::read_to_string(rig.layout.run_dir.join("nginx.pid")).is_ok_and(|pid| !pid.trim().is_empty() && pid.trim() != old.to_string())
    })
    .await;
    eventually("the site answers", Duration::from_secs(5), async || {
        rig.probe.get(&host(&anna), "/", Duration::from_secs(1)).await.is_ok_and(|(status, _)| status == 200)
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_is_served_but_links_out_of_it_are_not() {
    use cid_daemon::{sandbox::listen_addresses, system::nginx::vhost::{HostName, Media, Upstream, Vhost}};
    let rig = Rig::started().await;
    let nginx = rig.nginx();
    let anna = unit("anna");
    let media = rig.layout.state_dir.join("media");
    fs::create_dir_all(&media).unwrap();
    fs::write(media.join("a.txt"), "hello").unwrap();
    fs::write(rig.layout.state_dir.join("media-secret"), "secret").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", media.join("out")).unwrap();
    // A link of another owner than its target: without root, it is one as it stands.
    drop(std::os::unix::fs::lchown(media.join("out"), Some(65534), None));
    let vhost = Vhost {
        unit: anna.clone(),
        server_name: HostName::parse(&host(&anna)).unwrap(),
        listen: listen_addresses(rig.port),
        upstream: Upstream::Port(serve("app").await),
        media: Some(Media { url: "/media/".into(), path: media }),
        max_body_mib: 1,
        access_log: None,
    };
    nginx.put(&anna, &vhost.render().unwrap()).await.unwrap();
    let get = async |path: &str| rig.probe.get(&host(&anna), path, Duration::from_secs(5)).await.unwrap();
    assert_eq!(get("/media/a.txt").await, (200, "hello".to_owned()));
    assert_eq!(get("/media/").await.0, 403);
    assert_eq!(get("/media/out").await.0, 403);
    assert!(get("/media-secret").await.1.starts_with("app\n"));
    assert_ne!(get("/media../media-secret").await.1, "secret");
    rig.stop().await;
}
