//! Apps on Unix sockets: nginx alone gets to them, and no link leads it elsewhere.

use crate::{
    stage::{cid, create, rewrite_project, soon, status_of, user_of, words},
    workspaces::WATCHED,
};
use cid_testkit::host::Host;

/// Says whether it can connect to a socket.
const DIAL: &str = "import socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
    print('CONNECTED')
except OSError as error:
    print('refused', error.errno)";
/// Answers as what nginx alone may reach.
const SECRET: &str = "import grp, os, socket, time
os.umask(0o117)
s = socket.socket(socket.AF_UNIX)
s.bind('/srv/secret.sock')
os.chown('/srv/secret.sock', 0, grp.getgrnam('www-data').gr_gid)
s.listen()
while True:
    c, _ = s.accept()
    c.recv(65536)
    c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nSECRET')
    c.close()";
const RUN: &str = "/srv/cid/guestbook/anna---example-com/run";
const SEEN: &str = "/run/cid/work/guestbook/anna---example-com/run/web.sock";

fn on_sockets(host: &Host) {
    let web = r#"run.web = ["gunicorn", "--bind", "unix:{socket}", "guestbook.wsgi"]"#;
    rewrite_project(host, "", web, "").ok().unwrap();
}

fn doctor_is_content(host: &Host) {
    host.run(&["cictl", "doctor"]).unwrap().ok().unwrap();
}

#[test]
fn an_app_on_a_unix_socket_answers_also_after_a_reboot_and_only_nginx_gets_to_it() {
    let Some(mut host) = cid() else { return };
    on_sockets(&host);
    let before = host.state(WATCHED).unwrap();
    for email in ["anna@example.com", "bob@example.com"] {
        create(&host, email);
    }
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    let own = format!("{RUN}/web.sock");
    let dial = |host: &Host, who: &[&str], socket: &str| {
        let output = host.run(&[who, &["python3", "-c", DIAL, socket]].concat());
        words(&output.unwrap())
    };
    let as_bob = &["cictl", "run", "bob@example.com", "--"][..];
    let as_eve = &["runuser", "-u", "eve", "--"][..];
    for (who, socket) in [(as_bob, &*own), (as_eve, &*own), (as_eve, SEEN)] {
        let said = dial(&host, who, socket);
        assert!(said.contains("refused 13"), "{who:?}: {said}");
    }
    let nginx = dial(&host, &["runuser", "-u", "www-data", "--"], SEEN);
    assert!(nginx.contains("CONNECTED"), "{nginx}");
    doctor_is_content(&host);

    let restart = ["cictl", "restart", "anna@example.com"];
    host.run(&restart).unwrap().ok().unwrap();
    assert_eq!(status_of(&host, "anna---example-com"), "200");
    for email in ["anna@example.com", "bob@example.com"] {
        let delete = ["cictl", "delete", "--yes", "--with-branch", email];
        host.run(&delete).unwrap().ok().unwrap();
    }
    host.assert_same(&before, WATCHED).unwrap();

    create(&host, "anna@example.com");
    host.reboot().unwrap();
    soon("it answers after a reboot", || {
        status_of(&host, "anna---example-com") == "200"
    });
    // Its socket is still there, as a kill leaves it.
    host.power_cut().unwrap();
    host.switch_on().unwrap();
    soon("it answers after a power cut", || {
        status_of(&host, "anna---example-com") == "200"
    });
    soon("cid is there", || {
        host.run(&["cictl", "list"]).unwrap().status == 0
    });
    doctor_is_content(&host);
}

/// A review planted a link in the socket's place, and nginx followed it to a socket that only nginx's
/// group may open.
#[test]
fn a_link_in_a_sockets_place_leads_nginx_nowhere() {
    let Some(host) = cid() else { return };
    on_sockets(&host);
    create(&host, "anna@example.com");
    let secret = host.command(&["python3", "-c", SECRET]).unwrap().spawn();
    let mut secret = secret.unwrap();
    soon("the secret is served", || {
        host.exists("/srv/secret.sock").unwrap()
    });
    let curl = [
        "curl",
        "-s",
        "--unix-socket",
        "/srv/secret.sock",
        "http://x/",
    ];
    let as_nginx = [&["runuser", "-u", "www-data", "--"][..], &curl].concat();
    assert_eq!(host.run(&as_nginx).unwrap().stdout, "SECRET");
    let user = user_of(&host, "anna---example-com");
    // By its own hand, past Landlock: the account alone must not do it.
    let attacks = [
        "ln -s /srv/secret.sock web.sock",
        "ln -s /srv l && ln -s l/secret.sock web.sock",
        "mkdir web.sock",
        "mkfifo web.sock",
        "ln /srv/secret.sock web.sock || true",
    ];
    for attack in attacks {
        let script = format!("cd {RUN} && rm -rf web.sock l && {attack}");
        let tried = host.run_as(&user, &["sh", "-c", &script]).unwrap();
        assert_eq!(tried.status, 0, "{attack}: {tried}");
        assert_eq!(status_of(&host, "anna---example-com"), "503", "{attack}");
    }
    // Its folder is out of its reach.
    let script = format!("mv {RUN} {RUN}2 || ln -sfn /srv {RUN}/../run2");
    assert_ne!(
        host.run_as(&user, &["sh", "-c", &script]).unwrap().status,
        0
    );

    // Where links are followed there is no such app.
    let remount = ["mount", "-o", "remount,bind,symfollow", "/run/cid/work"];
    host.run(&remount).unwrap().ok().unwrap();
    host.run(&["systemctl", "restart", "cid"])
        .unwrap()
        .ok()
        .unwrap();
    let told = words(&host.run(&["cictl", "doctor"]).unwrap());
    assert!(told.contains("[drift] socket of guestbook.anna"), "{told}");
    let refused = host.run(&["cictl", "create", "bob@example.com"]).unwrap();
    assert_eq!(refused.status, 1, "{refused}");
    assert!(
        words(&refused).contains("links are not followed"),
        "{refused}"
    );
    secret.kill().unwrap();
    secret.wait().unwrap();
}
