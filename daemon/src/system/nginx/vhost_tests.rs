use super::*;
use crate::{config::NginxSettings, domain::is_plain};
use proptest::prelude::*;

/// A directive: its words, and what is in its braces.
#[derive(Debug)]
struct Directive(Vec<String>, Vec<Directive>);

/// Reads nginx's syntax as far as our files use it; quotes are not part of that.
fn parse(text: &str) -> Vec<Directive> {
    let text: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let spaced = text
        .replace(';', " ; ")
        .replace('{', " { ")
        .replace('}', " } ");
    let mut words = spaced.split_whitespace();
    let directives = block(&mut words);
    assert!(words.next().is_none(), "text after a closing brace");
    directives
}

fn block<'a>(words: &mut impl Iterator<Item = &'a str>) -> Vec<Directive> {
    let (mut directives, mut current) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        match word {
            ";" => directives.push(Directive(std::mem::take(&mut current), Vec::new())),
            "{" => directives.push(Directive(std::mem::take(&mut current), block(words))),
            "}" => return directives,
            word => current.push(word.to_owned()),
        }
    }
    directives
}

fn vhost() -> Vhost {
    Vhost {
        unit: UnitName::parse("shop.anna---example-com").unwrap(),
        server_name: HostName::parse("anna---example-com.shop.localhost").unwrap(),
        listen: vec![
            "127.0.0.1:8080".parse().unwrap(),
            "[::1]:8080".parse().unwrap(),
        ],
        tls: None,
        plain_too: false,
        upstream: Upstream::Port(20_001),
        media: Some(Media {
            url: "/media/".into(),
            path: "/srv/shop/media".into(),
            scripts: false,
        }),
        collected: None,
        bounds: (&NginxSettings::default()).into(),
        visit: Default::default(),
        front: "/run/cid-web/http.sock".into(),
        away: "/run/cid/away".into(),
    }
}

#[test]
fn reads_like_this() {
    insta::assert_snapshot!(vhost().render().unwrap());
}

#[test]
fn with_static_files_it_reads_like_this() {
    let vhost = Vhost {
        collected: Some(Static {
            url: "/static/".into(),
            path: "/run/cid/work/shop/anna---example-com/static/files".into(),
        }),
        media: None,
        ..vhost()
    };
    let text = vhost.render().unwrap();
    let (_, location) = text.split_once("location ^~ /static/").unwrap();
    let (location, _) = location.split_once("location / {").unwrap();
    for line in [
        "alias /run/cid/work/shop/anna---example-com/static/files/;",
        "disable_symlinks on from=/run/cid/work/shop/anna---example-com/static/files/;",
        "location ~ /[.](?!(?:well-known)(?![^/])) {",
    ] {
        assert!(location.contains(line), "{line}: {location}");
    }
}

fn tls() -> VhostTls {
    VhostTls {
        certificate: "/var/lib/cid/tls/shop.pem".into(),
        listen: vec!["0.0.0.0:443".parse().unwrap(), "[::]:443".parse().unwrap()],
        port: 443,
        hsts: None,
    }
}

#[test]
fn with_a_certificate_it_reads_like_this() {
    let vhost = Vhost {
        tls: Some(VhostTls {
            port: 8443,
            hsts: Some(3600),
            ..tls()
        }),
        media: None,
        ..vhost()
    };
    insta::assert_snapshot!(vhost.render().unwrap());
}

#[test]
fn the_catch_all_reads_like_this() {
    let catch_all = CatchAll {
        unit: UnitName::catch_all(&vhost().unit.project()),
        domain: HostName::parse("shop.localhost").unwrap(),
        listen: vhost().listen,
        tls: Some(tls()),
    };
    insta::assert_snapshot!(catch_all.render().unwrap());
    let plain = CatchAll {
        tls: None,
        ..catch_all
    };
    assert!(!plain.render().unwrap().contains("ssl"));
}

#[test]
fn the_site_of_all_workspaces_reads_like_this() {
    let site = Vhost {
        unit: UnitName::catch_all(&vhost().unit.project()),
        server_name: HostName::parse("shop.localhost").unwrap(),
        tls: Some(VhostTls {
            port: 8443,
            hsts: Some(3600),
            ..tls()
        }),
        upstream: Upstream::Workspaces("/run/cid/work/shop".into()),
        collected: Some(Static {
            url: "/static/".into(),
            path: "static/files".into(),
        }),
        ..vhost()
    };
    insta::assert_snapshot!(site.render().unwrap());
    for (folder, is_good) in [
        ("/a b", false),
        ("/a$b", false),
        ("/a:b", false),
        ("a", false),
        (&*format!("/{}", "w".repeat(52)), true),
        // The longest name's socket would not fit.
        (&*format!("/{}", "w".repeat(53)), false),
    ] {
        let upstream = Upstream::Workspaces(folder.into());
        assert_eq!(upstream.is_good(), is_good, "{folder}");
        let rendered = Vhost {
            upstream,
            ..site.clone()
        }
        .render();
        assert_eq!(rendered.is_ok(), is_good, "{folder}");
    }
}

#[test]
fn alias_and_location_both_end_in_a_slash() {
    for (url, path) in [
        ("/media", "/srv/m"),
        ("/media/", "/srv/m/"),
        ("/media", "/srv/m/"),
    ] {
        let media = Media {
            url: url.into(),
            path: path.into(),
            scripts: false,
        };
        let file = media.file().unwrap();
        assert_eq!(
            (&*file.folder.url, &*file.folder.path),
            ("/media/", "/srv/m/")
        );
    }
}

#[test]
fn media_is_a_plain_path_below_the_root() {
    for url in [
        "", "/", "//", "media", "/a//b/", "/../", "/a/./", "/a b/", "/a;/", "/ä/",
    ] {
        let vhost = Vhost {
            media: Some(Media {
                url: url.into(),
                path: "/srv/m".into(),
                scripts: false,
            }),
            ..vhost()
        };
        assert!(vhost.render().is_err(), "{url:?}");
    }
}

#[test]
fn host_names() {
    for good in [
        "localhost",
        "a.b",
        "a--b.localhost",
        &format!("{}.org", "a".repeat(63)),
    ] {
        assert!(HostName::parse(good).is_some(), "{good}");
    }
    for bad in [
        "",
        ".",
        "a.",
        ".a",
        "A.b",
        "a_b",
        "-a.b",
        "a-.b",
        "*.b",
        "~a",
        "a b",
        "a;b",
        &"a".repeat(64),
    ] {
        assert!(HostName::parse(bad).is_none(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_rendered_file_is_one_server_of_that_name(path in "/\\PC{0,30}", socket in any::<bool>(), label in "[a-z0-9]{1,63}") {
        let name = format!("{label}.shop.localhost");
        let vhost = Vhost {
            server_name: HostName::parse(&name).unwrap(),
            media: Some(Media { url: "/media/".into(), path: path.clone().into(), scripts: false }),
            upstream: if socket { Upstream::Unix(path.clone().into()) } else { Upstream::Port(1) },
            ..vhost()
        };
        let Ok(text) = vhost.render() else {
            prop_assert!(!path.chars().all(is_plain) || (socket && (path.contains(':') || path.len() > 107)));
            return Ok(());
        };
        let servers = parse(&text);
        prop_assert_eq!(servers.len(), 1);
        prop_assert_eq!(&servers[0].0, &["server"]);
        let names: Vec<_> = servers[0].1.iter().filter(|d| d.0[0] == "server_name").collect();
        prop_assert_eq!(names.len(), 1);
        prop_assert_eq!(&names[0].0, &["server_name".to_owned(), name]);
        let aliases: Vec<_> = servers[0].1.iter().flat_map(|d| &d.1).filter(|d| d.0[0] == "alias").collect();
        prop_assert_eq!(aliases.len(), 1);
        prop_assert_eq!(&aliases[0].0[1], &format!("{}/", path.trim_end_matches('/')));
    }
}

#[test]
fn a_socket_is_taken_where_nginx_and_the_kernel_take_it() {
    let render = |path: String| {
        let upstream = Upstream::Unix(path.into());
        Vhost {
            upstream,
            ..vhost()
        }
        .render()
    };
    // The kernel's 108 bytes, less the zero at the end.
    let longest = format!("/{}", "s".repeat(106));
    let text = render(longest.clone()).unwrap();
    assert!(text.contains(&format!("http://unix:{longest}")), "{text}");
    for bad in [
        format!("{longest}s"),
        "/run/a:b".into(),
        "/run/a:".into(),
        "run/a".into(),
    ] {
        assert!(render(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn a_site_of_before_the_certificate_answers_by_both_ways() {
    let vhost = Vhost {
        tls: Some(tls()),
        plain_too: true,
        media: None,
        ..vhost()
    };
    let text = vhost.render().unwrap();
    assert!(
        text.contains("listen 0.0.0.0:443 ssl;") && text.contains("listen 127.0.0.1:8080;"),
        "{text}"
    );
    assert_eq!(text.matches("server {").count(), 1, "{text}");
    assert!(!text.contains("return 308"), "{text}");
}
