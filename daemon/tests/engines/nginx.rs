use crate::{
    contract::{NginxWorld, Outside, nginx_contract},
    rig::{Rig, eventually, host, kill, serve, unit},
};
use async_trait::async_trait;
use cid_daemon::{
    domain::UnitName,
    sandbox::listen_addresses,
    system::{
        nginx::{
            Nginx, RealNginx,
            vhost::{HostName, Media, Upstream, Vhost},
        },
        probe::{Page, Probe},
    },
};
use std::{fs, sync::Arc, time::Duration};

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
        upstream: Upstream::Port(serve("app").await),
        media: Some(Media {
            url: "/media/".into(),
            path: media,
        }),
        max_body_mib: 1,
        access_log: None,
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
