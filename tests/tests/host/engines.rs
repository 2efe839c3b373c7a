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
    let journal = host.journal("cid-supervisor").unwrap();
    let started = format!("spawned: 'guestbook.{ANNA}.web'");
    assert!(journal.contains(&started), "{journal}");
    // As a hand that tidies up, or a disk, may leave it: folders that are gone, a folder where a file was.
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
/// Whatever nginx may make for a configuration below.
const MADE: &str = "/srv/made /var/log/nginx/made.log /home/anna/made.log /run/made.sock";

/// A configuration beside what is there, what is done before, and what is said about it; nothing: it
/// is taken.
#[rustfmt::skip]
const SITES: &[(&str, &str, &str)] = &[
    ("", "", ""),
    ("server { listen 80; server_name here.test; }", "", ""),
    ("server { oops; }", "", "unknown directive \"oops\""),
    ("server {", "", "unexpected end of file"),
    ("server { listen 81; }", "", ""),
    ("server { listen 192.0.2.1:8099; }", "", "Cannot assign requested address"),
    ("server { listen unix:/run/made.sock; }", "", ""),
    ("upstream u { server no-such-name.test:80; }", "", "host not found in upstream"),
    ("upstream u { server known.test:80; }", "echo 127.0.0.1 known.test >> /etc/hosts", ""),
    ("ssl_certificate /etc/none.pem; ssl_certificate_key /etc/none.pem; server { listen 444 ssl; }", "", "cannot load certificate"),
    ("server { listen 444 ssl; ssl_certificate /srv/made/c.pem; ssl_certificate_key /srv/made/k.pem; }",
     "mkdir -m 700 /srv/made && openssl req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=x -keyout /srv/made/k.pem -out /srv/made/c.pem 2>/dev/null && chown -R bob /srv/made", ""),
    ("access_log /var/log/nginx/made.log;", "", ""),
    ("access_log /home/anna/made.log;", "", ""),
    ("access_log /srv/made/a.log;", "", "open() \"/srv/made/a.log\" failed (2"),
    ("access_log /srv/made/a.log;", "mkdir -m 700 /srv/made && install -m 600 -o bob /dev/null /srv/made/a.log", ""),
    ("proxy_cache_path /srv/made/a keys_zone=z:1m;", "mkdir -m 755 /srv/made", ""),
    ("proxy_cache_path /srv/made/a/b keys_zone=z:1m;", "", "mkdir() \"/srv/made/a/b\" failed"),
    ("limit_req zone=none;", "", "zero size shared memory zone \"none\""),
    ("server_names_hash_bucket_size 64;", "", "directive is duplicate"),
    ("include /root/closed/*.conf;", "mkdir -p -m 700 /root/closed && echo 'nonsense;' > /root/closed/x.conf", "unknown directive \"nonsense\""),
    ("user bob;", "", "\"user\" directive is not allowed here"),
];

/// What nginx has against its configuration, without when, where and who said so.
fn complaint(text: &str) -> Option<&str> {
    let (_, said) = text.lines().find_map(|line| line.split_once("[emerg] "))?;
    let said = match said.split_once(": ") {
        Some((number, said)) if number.contains('#') => said,
        _ => said,
    };
    Some(said.split(" in /").next().unwrap_or(said))
}

#[test]
fn nginx_says_to_cid_of_any_file_what_it_says_to_root() {
    let Some(host) = cid() else { return };
    create(&host, "bob@example.com");
    for (site, before, said) in SITES {
        host.write(EXTRA, site, 0o644).unwrap();
        run(&host, before);
        let created = host.run(&["cictl", "create", "anna@example.com"]).unwrap();
        let tested = host.run(&["nginx", "-t", "-q"]).unwrap();
        let complaint = complaint(&tested.stderr);
        assert_eq!(tested.status == 0, said.is_empty(), "{site}: {tested}");
        assert_eq!(created.status == 0, said.is_empty(), "{site}: {created}");
        if let Some(complaint) = complaint {
            assert!(complaint.contains(said), "{site}: {complaint}");
            assert!(
                words(&created).contains(complaint),
                "{site}: {complaint}: {created}"
            );
            assert_ne!(status_of(&host, ANNA), "200", "{site}");
        } else {
            assert_eq!(status_of(&host, ANNA), "200", "{site}");
            run(&host, "cictl delete --yes --with-branch anna@example.com");
        }
        assert_eq!(status_of(&host, BOB), "200", "{site}");
        run(
            &host,
            &format!("rm {EXTRA}; systemctl reload nginx; rm -rf {MADE}"),
        );
    }

    // What only the reload can see: nginx tries for a moment, and goes on as before.
    run(
        &host,
        "systemd-run --quiet --unit=port python3 -m http.server 90; sleep 1",
    );
    host.write(EXTRA, "server { listen 90; }", 0o644).unwrap();
    let created = host.run(&["cictl", "create", "anna@example.com"]).unwrap();
    let text = words(&created);
    assert!(
        text.contains("bind() to 0.0.0.0:90 failed (98: Address already in use)"),
        "{text}"
    );
    assert!(text.contains("it goes on as before"), "{text}");
    assert_eq!(status_of(&host, BOB), "200");
    run(&host, &format!("rm {EXTRA}; systemctl stop port"));
    create(&host, "anna@example.com");
    answers(&host, ANNA);
}

/// What a command says in the unit of the test.
fn in_unit(host: &Host, command: &str) -> String {
    let mut unit = vec!["systemd-run", "--quiet", "--pipe", "--wait", "--collect"];
    let lines = UNIT.lines().skip_while(|line| *line != "[Service]").skip(1);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        unit.extend(["--property", line]);
    }
    unit.extend(["sh", "-c", command]);
    words(&host.run(&unit).unwrap())
}

#[test]
fn the_test_of_nginx_sees_no_network_and_leaves_nothing_behind() {
    let Some(host) = cid() else { return };
    let network = "readlink /proc/self/ns/net";
    let inside = in_unit(&host, network);
    assert!(inside.starts_with("net:["), "{inside}");
    assert_ne!(inside.trim(), run(&host, network).trim());
    let reached = in_unit(
        &host,
        "python3 -c 'import socket; socket.socket()' 2>&1 | tail -1",
    );
    assert!(reached.contains("not supported by protocol"), "{reached}");

    let site = "access_log /var/log/nginx/made.log; proxy_cache_path /srv/made keys_zone=z:1m;\n\
                server { listen 82; listen unix:/run/made.sock; access_log /home/anna/made.log; }";
    host.write(EXTRA, site, 0o644).unwrap();
    let watched = ["/srv", "/var/lib", "/var/log/nginx", "/etc", "/home"];
    let before = host.state(&watched).unwrap();
    let said = in_unit(&host, "nginx -t");
    assert!(said.contains("syntax is ok"), "{said}");
    let first = complaint(&said).unwrap();
    assert_eq!(
        first,
        "open() \"/run/nginx.pid\" failed (30: Read-only file system)"
    );
    host.assert_same(&before, &watched).unwrap();

    // While nginx is down, too: the daemon's own, of which the doctor says nothing.
    run(&host, "systemctl stop nginx");
    let doctor = host.run(&["cictl", "doctor"]).unwrap().stdout;
    assert!(!doctor.contains("] nginx: cannot"), "{doctor}");
    assert!(!host.exists("/run/nginx.pid").unwrap());
    run(
        &host,
        &format!("systemctl start nginx && rm -rf {EXTRA} {MADE}"),
    );
}

/// A name server that knows the names in a file, says of others that there are none, and nothing to those
/// that begin with `slow`.
const NAME_SERVER: &str = r#"import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
while True:
    q, peer = s.recvfrom(512)
    labels, at = [], 12
    while q[at]:
        labels.append(q[at + 1 : at + 1 + q[at]].decode())
        at += q[at] + 1
    name = ".".join(labels)
    if name.startswith("slow"):
        continue
    known = name in open("/run/names").read().split()
    n = 1 if known and q[at + 1 : at + 3] == b"\0\1" else 0
    head = q[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, n, 0, 0)
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" * n
    s.sendto(head + q[12 : at + 5] + answer, peer)
"#;

#[test]
fn upstreams_by_name_are_left_to_the_reload_which_can_look_them_up() {
    let Some(host) = cid() else { return };
    host.write("/root/names.py", NAME_SERVER, 0o644).unwrap();
    run(
        &host,
        "echo nameserver 127.0.0.1 > /etc/resolv.conf; echo api.example.net db.example.net > /run/names; \
         systemd-run --quiet --unit=names python3 /root/names.py; sleep 1; getent ahosts api.example.net",
    );
    let site = "upstream u { server api.example.net:8080; }\n\
                server { listen 82; location / { proxy_pass http://db.example.net; } }\n";
    host.write(EXTRA, site, 0o644).unwrap();
    for who in ["anna", "bob"] {
        create(&host, &format!("{who}@example.com"));
    }
    answers(&host, ANNA);
    answers(&host, BOB);
    let doctor = host.run(&["cictl", "doctor"]).unwrap().stdout;
    assert!(!doctor.contains("] nginx: "), "{doctor}");
    // The machine's own file still says something new.
    run(&host, "echo 127.0.0.1 known.test >> /etc/hosts");
    let more = format!("{site}upstream k {{ server known.test; }}\n");
    host.write(EXTRA, &more, 0o644).unwrap();
    create(&host, "carl@example.com");

    for name in ["gone.example.net", "slow.example.net"] {
        let more = format!("{site}upstream g {{ server {name}; }}\n");
        host.write(EXTRA, &more, 0o644).unwrap();
        let created = host.run(&["cictl", "create", "dora@example.com"]).unwrap();
        let text = words(&created);
        let said = format!("broken by {EXTRA}:3: host not found in upstream \"{name}\"");
        assert!(text.contains(&said), "{text}");
        assert_eq!(status_of(&host, BOB), "200");
    }
    run(&host, &format!("rm {EXTRA}; systemctl stop names"));
    // Nobody answers any more, and nobody has to.
    create(&host, "dora@example.com");
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
