//! Certificates and unknown names on a host, whose nginx is not cid's alone.

use crate::stage::{cid, soon, status_of, words};
use cid_testkit::{Certificate, host::Host};

/// Where certbot puts them.
const LIVE: &str = "/etc/letsencrypt/live/shop";
const SHOP_FILE: &str = "/etc/cid/projects.d/shop.toml";

/// A second project of the same repository, that needs nothing installed.
const SHOP: &str = r#"domain = "shop.test"
deploy_user = "deploy"
tls = { certificate = "/etc/letsencrypt/live/shop/fullchain.pem", key = "/etc/letsencrypt/live/shop/privkey.pem" }

[git]
url = "/srv/git/guestbook.git"
branch = "shop-{name}"

[app]
install = []
release = []
run.web = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
"#;

fn run(host: &Host, args: &[&str]) -> String {
    words(&host.run(args).unwrap().ok().unwrap())
}

fn issue(host: &Host, certificate: &Certificate) {
    run(host, &["mkdir", "-p", LIVE]);
    let files = [
        ("fullchain.pem", &certificate.certificate),
        ("privkey.pem", &certificate.key),
    ];
    for (name, text) in files {
        host.write(&format!("{LIVE}/{name}"), text.as_bytes(), 0o600)
            .unwrap();
    }
}

fn reload(host: &Host) {
    run(host, &["systemctl", "reload", "cid"]);
}

/// As the hook of a program that renews certificates must see it.
fn reload_fails(host: &Host) {
    let reloaded = host.run(&["systemctl", "reload", "cid"]).unwrap();
    assert_eq!(reloaded.status, 1, "{reloaded}");
}

/// What a name answers: status, a line, headers and body; only by the certificate that was issued last.
fn page(host: &Host, url: &str, name: &str) -> String {
    let port = if url.starts_with("https") {
        "443"
    } else {
        "80"
    };
    let resolve = format!("{name}:{port}:127.0.0.1");
    let authority = format!("{LIVE}/fullchain.pem");
    let mut args = vec![
        "curl",
        "--silent",
        "--show-error",
        "--include",
        "--max-time",
        "5",
    ];
    args.extend([
        "--write-out",
        "\nSTATUS %{http_code}",
        "--resolve",
        &resolve,
    ]);
    if port == "443" {
        args.extend(["--cacert", &authority]);
    }
    args.push(url);
    words(&host.run(&args).unwrap())
}

fn https(host: &Host, name: &str) -> String {
    page(host, &format!("https://{name}/"), name)
}

fn http(host: &Host, name: &str) -> String {
    page(host, &format!("http://{name}/a?b=c"), name)
}

#[test]
fn names_of_nobodys_get_a_page_of_cids_while_the_project_is_there() {
    let Some(host) = cid() else { return };
    let is_cids = |name: &str| {
        let answer = http(&host, name);
        answer.contains("STATUS 404") && answer.contains("No such workspace")
    };
    soon("cid's page", || is_cids("nobody.guestbook.test"));
    assert!(
        !is_cids("nobody.elsewhere.test"),
        "that is not cid's to answer"
    );
    run(&host, &["cictl", "create", "anna@example.com"]);
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    assert!(is_cids("nobody.guestbook.test"));
    run(&host, &["cictl", "doctor"]);

    run(
        &host,
        &["rm", "/var/lib/cid/nginx/vhosts/guestbook.catch-all.conf"],
    );
    let doctor = words(&host.run(&["cictl", "doctor"]).unwrap());
    assert!(doctor.contains("vhost guestbook.catch-all"), "{doctor}");
    run(&host, &["cictl", "doctor", "--repair"]);
    assert!(is_cids("nobody.guestbook.test"));

    let file = "/etc/cid/projects.d/guestbook.toml";
    run(&host, &["mv", file, "/root/guestbook.toml"]);
    // There are workspaces of a project that has no file.
    let reloaded = host.run(&["systemctl", "reload", "cid"]).unwrap();
    assert_eq!(reloaded.status, 1);
    // Their addresses are the project's site's to answer.
    assert!(is_cids("nobody.guestbook.test"));
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    run(&host, &["mv", "/root/guestbook.toml", file]);
    reload(&host);
    soon("cid's page is back", || is_cids("nobody.guestbook.test"));
}

#[test]
fn a_certificate_serves_its_own_project_and_a_bad_one_harms_no_other() {
    let Some(host) = cid() else { return };
    let first = Certificate::wildcard("shop.test", 2090).unwrap();
    issue(&host, &first);
    host.write(SHOP_FILE, SHOP.as_bytes(), 0o644).unwrap();
    reload(&host);
    soon("the project is there", || {
        words(&host.run(&["cictl", "project", "list"]).unwrap()).contains("shop")
    });
    let checked = run(&host, &["cictl", "project", "check", "shop"]);
    assert!(checked.contains("good until 2090-01-01"), "{checked}");
    let created = run(
        &host,
        &["cictl", "create", "anna@example.com", "-p", "shop"],
    );
    let anna = "anna---example-com.shop.test";
    assert!(created.contains(&format!("https://{anna}/")), "{created}");
    let answer = https(&host, anna);
    assert!(answer.contains("STATUS 200"), "{answer}");
    let moved = http(&host, anna);
    assert!(moved.contains("STATUS 308"), "{moved}");
    assert!(moved.contains(&format!("https://{anna}/a?b=c")), "{moved}");
    for answer in [
        https(&host, "nobody.shop.test"),
        http(&host, "nobody.shop.test"),
    ] {
        assert!(
            answer.contains("STATUS 404") && answer.contains("No such workspace"),
            "{answer}"
        );
    }

    // nginx's first site for HTTPS is Anna's, and shows itself for no other name.
    let other = [
        "curl",
        "--silent",
        "--insecure",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        "https://127.0.0.1/",
    ];
    assert_eq!(host.run(&other).unwrap().stdout, "404");
    let copy = run(
        &host,
        &["stat", "--format=%U %a", "/var/lib/cid/tls/shop.pem"],
    );
    assert_eq!(copy.trim(), "root 600");
    run(&host, &["cictl", "doctor"]);

    let neighbour_is_well = || {
        run(
            &host,
            &["cictl", "create", "bob@example.com", "-p", "guestbook"],
        );
        assert_eq!(status_of(&host, "bob---example-com"), "200");
        run(
            &host,
            &[
                "cictl",
                "delete",
                "bob@example.com",
                "-p",
                "guestbook",
                "--yes",
                "--with-branch",
            ],
        );
        run(&host, &["nginx", "-t"]);
    };
    let is_refused = |why: &str| {
        for (status, args) in [
            (1, &["cictl", "project", "check", "shop"][..]),
            (5, &["cictl", "create", "carl@example.com", "-p", "shop"]),
            (1, &["cictl", "doctor"]),
        ] {
            let output = host.run(args).unwrap();
            assert_eq!(output.status, status, "{args:?}: {output}");
            assert!(output.text().contains(why), "{args:?}: {output}");
        }
        let listed = run(&host, &["cictl", "project", "list"]);
        assert!(listed.contains(why), "{listed}");
    };
    issue(&host, &Certificate::wildcard("shop.test", 2020).unwrap());
    reload_fails(&host);
    is_refused("it expired at 2020-01-01");
    neighbour_is_well();
    issue(&host, &first);
    // Root without its rights over other people's files, as the daemon is.
    run(&host, &["chown", "deploy", &format!("{LIVE}/privkey.pem")]);
    reload_fails(&host);
    is_refused("Permission denied");
    neighbour_is_well();
    assert!(https(&host, anna).contains("STATUS 200"));

    // The machine comes up again with what cid kept.
    run(&host, &["rm", "-r", &format!("{LIVE}/privkey.pem")]);
    run(&host, &["systemctl", "restart", "nginx", "cid"]);
    soon("the site answers", || {
        https(&host, anna).contains("STATUS 200")
    });

    let renewed = Certificate::wildcard("shop.test", 2091).unwrap();
    issue(&host, &renewed);
    assert!(!https(&host, anna).contains("STATUS 200"));
    reload(&host);
    soon("the renewed certificate", || {
        https(&host, anna).contains("STATUS 200")
    });
    run(&host, &["cictl", "doctor"]);

    run(
        &host,
        &[
            "cictl",
            "delete",
            "anna@example.com",
            "-p",
            "shop",
            "--yes",
            "--with-branch",
        ],
    );
    run(&host, &["rm", SHOP_FILE]);
    reload(&host);
    soon("nothing of it is left", || {
        let left = [
            "find",
            "/var/lib/cid/tls",
            "/var/lib/cid/nginx/vhosts",
            "-name",
            "shop*",
        ];
        host.run(&left).unwrap().stdout.is_empty()
    });
}

/// A foreign site, before cid's in the order of files, with an upstream that only a name server knows.
const THEIRS: &str = "server { listen 80; listen 443 ssl; server_name theirs.test; return 200 theirs;\n\
    ssl_certificate /etc/ssl/theirs.pem; ssl_certificate_key /etc/ssl/theirs.pem; }\n\
    server { listen 82; location / { proxy_pass http://later.test; } }\n";

/// What comes of a name by both ways in: statuses, and 000 where there is not even a handshake.
fn both(host: &Host, name: &str) -> [String; 2] {
    ["http", "https"].map(|scheme| {
        let port = if scheme == "http" { "80" } else { "443" };
        let (url, to) = (
            format!("{scheme}://{name}/"),
            format!("{name}:{port}:127.0.0.1"),
        );
        let args = [
            "curl",
            "-sk",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--max-time",
            "5",
        ];
        let args = [&args[..], &["--resolve", &to, &url]].concat();
        host.run(&args).unwrap().stdout
    })
}

#[test]
fn a_certificate_that_is_gone_at_a_reboot_keeps_its_own_project_down_alone() {
    let Some(mut host) = cid() else { return };
    let first = Certificate::wildcard("shop.test", 2090).unwrap();
    issue(&host, &first);
    let theirs = Certificate::wildcard("theirs.test", 2090).unwrap();
    host.write(
        "/etc/ssl/theirs.pem",
        format!("{}{}", theirs.certificate, theirs.key),
        0o600,
    )
    .unwrap();
    // To start nginx, one of the machine's own; to test it before, none that the check would know.
    host.write("/etc/nginx/conf.d/a-theirs.conf", THEIRS, 0o644)
        .unwrap();
    run(
        &host,
        &[
            "sh",
            "-c",
            "echo 127.0.0.1 later.test >> /etc/hosts; systemctl restart nginx",
        ],
    );
    host.write(SHOP_FILE, SHOP.as_bytes(), 0o644).unwrap();
    reload(&host);
    let (anna, bob) = (
        "anna---example-com.shop.test",
        "bob---example-com.guestbook.test",
    );
    run(
        &host,
        &["cictl", "create", "anna@example.com", "-p", "shop"],
    );
    run(
        &host,
        &["cictl", "create", "bob@example.com", "-p", "guestbook"],
    );
    assert_eq!(both(&host, anna), ["308", "200"]);

    // What is left of the certificate, and of what the operator gave.
    for damage in [
        "rm /var/lib/cid/tls/shop.pem",
        "head -c 300 /var/lib/cid/tls/shop.pem > /root/cut && cp /root/cut /var/lib/cid/tls/shop.pem",
        "rm /var/lib/cid/tls/shop.pem && mkdir /var/lib/cid/tls/shop.pem",
    ] {
        run(&host, &["rm", &format!("{LIVE}/privkey.pem")]);
        run(&host, &["sh", "-c", damage]);
        host.reboot().unwrap();
        soon("nginx runs", || {
            both(&host, "theirs.test") == ["200", "200"]
        });
        soon("the other project answers", || both(&host, bob)[0] == "200");
        assert_eq!(both(&host, anna), ["503", "000"], "{damage}");
        let journal = host.journal("cid-nginx-check").unwrap();
        assert!(
            journal.contains("is set aside: cannot load certificate"),
            "{journal}"
        );
        let doctor = words(&host.run(&["cictl", "doctor"]).unwrap());
        let said = "vhost shop.anna---example-com: it was set aside, and its names answer with an error: \
                    nginx says: cannot load certificate";
        assert!(doctor.contains(said), "{doctor}");
        // Others work on.
        run(
            &host,
            &["cictl", "create", "carl@example.com", "-p", "guestbook"],
        );
        run(
            &host,
            &[
                "cictl",
                "delete",
                "carl@example.com",
                "-p",
                "guestbook",
                "--yes",
                "--with-branch",
            ],
        );
        assert_eq!(both(&host, anna), ["503", "000"], "{damage}");

        run(
            &host,
            &[
                "sh",
                "-c",
                "rmdir /var/lib/cid/tls/shop.pem 2>/dev/null || true",
            ],
        );
        issue(&host, &first);
        reload(&host);
        soon("the project is back", || {
            both(&host, anna) == ["308", "200"]
        });
        let left = ["sh", "-c", "ls /var/lib/cid/nginx/vhosts | grep broken"];
        assert_eq!(host.run(&left).unwrap().stdout, "");
    }

    // Without a daemon, at a restart of nginx by hand; a file that is not cid's is left alone.
    let stranger = "/var/lib/cid/nginx/vhosts/stranger.conf";
    run(
        &host,
        &["systemctl", "stop", "cid.socket", "cid-front.socket", "cid"],
    );
    host.write(stranger, b"# theirs\n", 0o644).unwrap();
    run(
        &host,
        &[
            "sh",
            "-c",
            "echo '}' > /var/lib/cid/nginx/vhosts/shop.anna---example-com.conf",
        ],
    );
    run(&host, &["systemctl", "restart", "nginx"]);
    assert_eq!(both(&host, bob)[0], "200");
    host.write(stranger, b"oops;\n", 0o644).unwrap();
    assert_ne!(
        host.run(&["systemctl", "restart", "nginx"]).unwrap().status,
        0
    );
    assert_eq!(host.read(stranger).unwrap(), "oops;\n");
    run(&host, &["rm", stranger]);
    run(
        &host,
        &[
            "systemctl",
            "start",
            "nginx",
            "cid.socket",
            "cid-front.socket",
            "cid",
        ],
    );
    soon("the project is back", || {
        both(&host, anna) == ["308", "200"]
    });
}
