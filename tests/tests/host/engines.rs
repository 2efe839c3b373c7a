//! nginx and supervisord on a host: what is wrong with one file, or was removed by hand, keeps nobody
//! else down.

use crate::stage::{cid, create, soon, status_of, words};
use cid_testkit::host::Host;

const ANNA: &str = "anna---example-com";
const BOB: &str = "bob---example-com";
const CARL: &str = "carl---example-com";

fn run(host: &Host, line: &str) -> String {
    let done = host.run(&["sh", "-c", line]).unwrap();
    done.ok().unwrap().stdout
}

fn answers(host: &Host, name: &str) {
    soon(&format!("{name} answers"), || {
        status_of(host, name) == "200"
    });
}

#[test]
fn what_supervisord_would_not_start_with_is_one_workspaces_trouble() {
    let Some(mut host) = cid() else { return };
    for who in ["anna", "bob", "carl"] {
        create(&host, &format!("{who}@example.com"));
    }
    // As a hand that tidies up, or a disk, may leave it: folders that are gone, a file that is none.
    run(
        &host,
        &format!(
            "rm -r /var/log/cid/apps/guestbook.{ANNA} /srv/cid/guestbook/{BOB} /var/lib/cid/apps/guestbook.{BOB}.json"
        ),
    );
    run(&host, "systemctl restart cid-supervisor");
    answers(&host, ANNA);
    answers(&host, CARL);

    let program = |name: &str| format!("/var/lib/cid/supervisor/programs/guestbook.{name}.conf");
    for garbage in ["\0\0\0\0", "[program:x", "[program:x]\ncommand=%\n"] {
        host.write(&program(BOB), garbage, 0o644).unwrap();
        run(&host, "systemctl restart cid-supervisor");
        answers(&host, CARL);
        answers(&host, ANNA);
        assert!(!host.exists(&program(BOB)).unwrap(), "{garbage:?}");
        let broken = format!("{}.broken", program(BOB));
        assert!(host.exists(&broken).unwrap(), "{garbage:?}");
    }
    let journal = host.journal("cid-supervisor").unwrap();
    assert!(
        journal.contains(&format!("{} keeps supervisord from", program(BOB))),
        "{journal}"
    );

    // A second one, which is missed and written again.
    run(&host, &format!(": > {}", program(ANNA)));
    run(&host, &format!("echo nonsense >> {}", program(ANNA)));
    run(&host, "systemctl restart cid-supervisor");
    answers(&host, CARL);
    let doctor = host.run(&["cictl", "doctor"]).unwrap().stdout;
    assert!(
        doctor.contains(&format!("program guestbook.{ANNA}: its file is gone")),
        "{doctor}"
    );
    host.run(&["cictl", "doctor", "--repair"]).unwrap();
    answers(&host, ANNA);

    // Logs on a file system that a reboot empties.
    run(&host, "rm -r /var/log/cid");
    host.reboot().unwrap();
    answers(&host, ANNA);
    answers(&host, CARL);
    for who in ["anna", "bob", "carl"] {
        let email = format!("{who}@example.com");
        host.run(&["cictl", "delete", "--yes", "--discard", &email])
            .unwrap()
            .ok()
            .unwrap();
    }
}

/// The test of nginx's configuration, as the daemon has systemd run it.
const UNIT: &str = include_str!("../../../systemd/helpers/nginx-test.service");
const EXTRA: &str = "/etc/nginx/conf.d/extra.conf";
/// Whatever a test of a configuration below may make.
const MADE: [&str; 2] = ["/srv/made", "/var/log/nginx/made.log"];

/// A configuration beside what is there, what is done before, and what is said about it; nothing: it
/// is taken.
#[rustfmt::skip]
const SITES: &[(&str, &str, &str)] = &[
    ("", "", ""),
    ("server { listen 80; server_name here.test; }", "", ""),
    ("server { oops; }", "", "unknown directive \"oops\""),
    ("server {", "", "unexpected end of file"),
    ("server { listen 81; }", "", ""),
    // Somebody else listens there.
    ("server { listen 90; }", "systemd-run --quiet --unit=port python3 -m http.server 90; sleep 1", ""),
    ("server { listen 192.0.2.1:8099; }", "", "Cannot assign requested address"),
    ("server { listen unix:/run/made.sock; }", "", ""),
    ("upstream u { server no-such-name.test:80; }", "", "host not found in upstream"),
    ("upstream u { server known.test:80; }", "echo 127.0.0.1 known.test >> /etc/hosts", ""),
    ("ssl_certificate /etc/none.pem; ssl_certificate_key /etc/none.pem; server { listen 444 ssl; }", "", "cannot load certificate"),
    ("server { listen 444 ssl; ssl_certificate /srv/made/c.pem; ssl_certificate_key /srv/made/k.pem; }",
     "mkdir -m 700 /srv/made && openssl req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=x -keyout /srv/made/k.pem -out /srv/made/c.pem 2>/dev/null", ""),
    ("access_log /var/log/nginx/made.log;", "", ""),
    ("access_log /srv/made/a.log;", "", "open() \"/srv/made/a.log\" failed (2"),
    ("access_log /srv/made/a.log;", "mkdir -m 700 /srv/made && install -m 600 -o bob /dev/null /srv/made/a.log", ""),
    ("proxy_cache_path /srv/made/a/b keys_zone=z:1m;", "", "mkdir() \"/srv/made/a/b\" failed"),
    ("server_names_hash_bucket_size 64;", "", "directive is duplicate"),
    ("include /root/closed/*.conf;", "mkdir -p -m 700 /root/closed && echo 'nonsense;' > /root/closed/x.conf", "unknown directive \"nonsense\""),
    ("user bob;", "", "\"user\" directive is not allowed here"),
];

/// What nginx has against its configuration, without when and who said so.
fn complaint(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.split_once("[emerg] "));
    let message = |(_, said): (&str, &str)| match said.split_once(": ") {
        Some((number, said)) if number.contains('#') => said.to_owned(),
        _ => said.to_owned(),
    };
    lines.map(message).collect()
}

#[test]
fn nginx_says_to_cid_of_any_file_what_it_says_to_root() {
    let Some(host) = cid() else { return };
    let clean = || {
        let paths = MADE.join(" ");
        run(
            &host,
            &format!("rm -rf {paths}; systemctl stop port 2>/dev/null || true"),
        );
    };
    let nginx = ["nginx", "-t", "-q", "-c", "/etc/nginx/nginx.conf"];
    let mut unit = vec!["systemd-run", "--quiet", "--pipe", "--wait", "--collect"];
    let lines = UNIT.lines().skip_while(|line| *line != "[Service]").skip(1);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        unit.extend(["--property", line]);
    }
    unit.extend(nginx);
    let ask = |args: &[&str]| {
        let output = host.run(args).unwrap();
        (output.status, complaint(&output.stderr))
    };
    for (site, before, said) in SITES {
        host.write(EXTRA, site, 0o644).unwrap();
        let answers = [&unit[..], &nginx].map(|args| {
            run(&host, before);
            let answer = ask(args);
            clean();
            answer
        });
        assert_eq!(answers[0], answers[1], "{site}");
        let (status, words) = &answers[0];
        assert_eq!(*status == 0, said.is_empty(), "{site}: {words:?}");
        assert!(words.concat().contains(said), "{site}: {words:?}");
    }
    run(&host, &format!("rm {EXTRA}"));

    // While nginx is down: its pid file must not become anybody's who is not root.
    run(&host, "systemctl stop nginx");
    assert_eq!(ask(&unit), (0, vec![]));
    let pid = run(&host, "stat --format='%U %a %s' /run/nginx.pid");
    assert_eq!(pid.trim(), "root 644 0");
    run(
        &host,
        "systemctl start nginx && systemctl stop nginx && systemctl start nginx",
    );
    assert_eq!(ask(&unit), (0, vec![]));
    assert_ne!(run(&host, "cat /run/nginx.pid").trim(), "");
    run(&host, "systemctl reload nginx");
}

#[test]
fn somebody_elses_broken_site_is_named_and_nothing_of_cids_is_touched() {
    let Some(host) = cid() else { return };
    create(&host, "bob@example.com");
    let watched = [
        "/srv/cid",
        "/var/lib/cid/nginx",
        "/var/lib/cid/supervisor",
        "/etc/nginx",
    ];
    for (site, said) in [
        ("server {\n    oops;\n}\n", "unknown directive \"oops\""),
        (
            "server { listen 444 ssl; ssl_certificate /etc/none.pem; ssl_certificate_key /etc/none.pem; }\n",
            "/etc/none.pem",
        ),
        (
            "upstream u { server no-such-name.test:80; }\n",
            "host not found in upstream",
        ),
    ] {
        host.write("/etc/nginx/sites-enabled/theirs", site, 0o644)
            .unwrap();
        let before = host.state(&watched).unwrap();
        let created = host.run(&["cictl", "create", "anna@example.com"]).unwrap();
        assert_eq!(created.status, 1, "{created}");
        let text = words(&created);
        // nginx names no file where it complains of a certificate.
        let names_it = text.contains("broken by /etc/nginx/sites-enabled/theirs");
        assert!(names_it || said.ends_with(".pem"), "{text}");
        assert!(text.contains(said), "{text}");
        host.assert_same(&before, &watched).unwrap();
        assert_eq!(status_of(&host, BOB), "200");
        run(&host, "rm /etc/nginx/sites-enabled/theirs");
        create(&host, "anna@example.com");
        answers(&host, ANNA);
        run(&host, "cictl delete --yes --with-branch anna@example.com");
    }
}

#[test]
fn a_name_that_is_one_character_too_long_is_where_cid_says_it_is() {
    let Some(host) = cid() else { return };
    // As the doctor reckons.
    for (bucket, longest) in [(64, 46), (128, 110), (256, 238)] {
        let size = format!("server_names_hash_bucket_size {bucket};\n");
        host.write("/etc/nginx/conf.d/names.conf", size, 0o644)
            .unwrap();
        for (length, is_taken) in [(longest, true), (longest + 1, false)] {
            let labels = "a234567890123456789.".repeat(20);
            let name = &labels[labels.len() - length - 1..labels.len() - 1];
            let site = format!("server {{ listen 80; server_name {name}; }}\n");
            host.write(EXTRA, site, 0o644).unwrap();
            let tested = host.run(&["nginx", "-t", "-q"]).unwrap();
            assert_eq!(
                tested.status == 0,
                is_taken,
                "{length} at {bucket}: {tested}"
            );
        }
    }
    // With one of theirs too long at the size that nginx has by itself, nobody gets a workspace, and it
    // is said why.
    run(&host, "rm /etc/nginx/conf.d/names.conf");
    let created = host.run(&["cictl", "create", "bob@example.com"]).unwrap();
    assert_eq!(created.status, 1, "{created}");
    assert!(words(&created).contains("server_names_hash"), "{created}");
    run(&host, &format!("rm {EXTRA}"));
    create(&host, "bob@example.com");
}
