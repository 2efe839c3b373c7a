//! What cid needs from the host: each thing is broken, found, mended.

use crate::stage::{cid, soon, words};
use cid_testkit::host::Host;

const FILE: &str = "/etc/cid/projects.d/guestbook.toml";

/// Answers every question for an address with 127.0.0.1, as a wildcard record would.
const NAME_SERVER: &str = r#"
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
while True:
    question, asker = server.recvfrom(512)
    end = question.index(0, 12) + 5
    is_v4 = question[end - 4:end - 2] == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if is_v4 else b""
    head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_v4 else b"\0\0") + b"\0\0\0\0"
    server.sendto(head + question[12:end] + answer, asker)
"#;

/// Runs a line of shell that must work; gives what it prints.
#[track_caller]
pub fn run(host: &Host, line: &str) -> String {
    let done = host.run(&["sh", "-c", line]).unwrap();
    done.ok().unwrap().stdout
}

/// The doctor finds this broken and says this about mending it; its status is 1.
#[track_caller]
pub fn is_broken(host: &Host, what: &str, mend: &str) {
    is_told(host, "[broken] ", what, mend);
}

/// The doctor finds something that the ledger has otherwise.
#[track_caller]
pub fn is_broken_or_differs(host: &Host, what: &str, mend: &str) {
    is_told(host, "[", what, mend);
}

#[track_caller]
fn is_told(host: &Host, kind: &str, what: &str, mend: &str) {
    let told = host.run(&["cictl", "doctor"]).unwrap();
    let text = words(&told);
    assert_eq!(told.status, 1, "{text}");
    let mut lines = text.lines().skip_while(|line| !line.contains(what));
    let found = lines.next().unwrap_or_default();
    assert!(found.starts_with(kind), "not found: {what}\n{text}");
    let repair = lines.next().unwrap_or_default();
    assert!(
        repair.starts_with("    ") && repair.contains(mend),
        "{text}"
    );
}

/// All is well, if not at once: after a boot or a restart things take a moment.
pub fn is_well(host: &Host) {
    let mut last = String::new();
    soon("the doctor is content", || {
        let told = host.run(&["cictl", "doctor"]).unwrap();
        let is_new = words(&told) != last;
        if told.status != 0 && is_new {
            last = words(&told);
            println!("{last}");
        }
        told.status == 0
    });
}

/// Changes the project's file until the test says that it is as it was.
fn project(host: &Host, from: &str, to: &str) {
    let text = host.read(FILE).unwrap();
    assert!(text.contains(from), "{text}");
    host.write(FILE, text.replace(from, to), 0o644).unwrap();
    // It ends when the project is read; it fails where the test broke it.
    host.run(&["systemctl", "reload", "cid"]).unwrap();
}

#[test]
fn a_reload_waits_for_the_projects_and_fails_for_a_bad_one_alone() {
    let Some(host) = cid() else { return };
    let reload = || host.run(&["systemctl", "reload", "cid"]).unwrap();
    let list = || run(&host, "cictl project list");
    let other = |name: &str| format!("/etc/cid/projects.d/{name}.toml");
    let text = host.read(FILE).unwrap();
    for (name, domain) in [
        ("shop", "shop.test"),
        ("bad", "bad.test"),
        ("late", "late.test"),
    ] {
        let text = text.replace("guestbook.test", domain);
        let text = match name {
            "bad" => text.replace("url =", "ulr ="),
            _ => text,
        };
        host.write(&other(name), text, 0o644).unwrap();
        let is_bad = name != "shop";
        assert_eq!(reload().status, i32::from(is_bad), "{name}");
        // At once, and the group that is made beforehand too.
        assert!(list().contains(domain) || name == "bad", "{}", list());
        let group = host.run(&["getent", "group", &format!("cid-{name}")]);
        assert_eq!(group.unwrap().status == 0, name != "bad");
    }
    let told = run(&host, "journalctl -u cid -o cat");
    assert!(told.contains("unknown field `ulr`") && told.contains("the other projects were read"));
    assert_eq!(run(&host, "systemctl is-active cid").trim(), "active");
    run(&host, "rm /etc/cid/projects.d/bad.toml");
    assert_eq!(reload().status, 0);
    // One that cannot be prepared is no good either.
    let text = text
        .replace("guestbook.test", "gone.test")
        .replace("\"deploy\"", "\"nobody-there\"");
    host.write(&other("gone"), text, 0o644).unwrap();
    assert_eq!(reload().status, 1);
    let told = run(&host, "journalctl -u cid -o cat");
    assert!(told.contains("cannot find the account nobody-there"));
    assert!(list().contains("cannot find the account nobody-there"));
}

#[test]
fn accounts() {
    let Some(host) = cid() else { return };
    is_well(&host);
    let (there, missing) = ("deploy_user = \"deploy\"", "deploy_user = \"depl\"");
    project(&host, there, missing);
    is_broken(
        &host,
        "deploy user of guestbook: cannot find the account depl",
        "adduser",
    );
    project(&host, missing, there);
    // Since the file was read.
    run(&host, "usermod --append --groups cid deploy");
    is_broken(
        &host,
        "deploy user of guestbook: deploy is in the group cid",
        "deluser deploy cid",
    );
    run(&host, "gpasswd --delete deploy cid");
    let (there, missing) = ("= \"anna\"", "= \"hannah\"");
    project(&host, there, missing);
    is_broken(
        &host,
        "access of guestbook: cannot find the account hannah",
        "[access.people]",
    );
    project(&host, missing, there);
    is_well(&host);
}

#[test]
fn disks() {
    let Some(host) = cid() else { return };
    let media = "/srv/guestbook/media";
    run(&host, &format!("mount -t tmpfs -o size=1m none {media}"));
    is_broken(
        &host,
        &format!("the disk of {media} is full"),
        "free some space",
    );
    run(
        &host,
        &format!("umount {media} && mount -t ramfs none {media}"),
    );
    is_broken(
        &host,
        &format!("the file system of {media} keeps none"),
        "ext4",
    );
    run(&host, &format!("umount {media}"));
    is_well(&host);

    project(&host, "[git]", "work_dir = \"/data/guestbook\"\n[git]");
    is_broken(
        &host,
        "work_dir: /data/guestbook does not exist",
        "mkdir -p /data/guestbook",
    );
    run(&host, "mkdir -p /data/guestbook");
    is_broken(
        &host,
        "work_dir: the daemon's unit may not write",
        "ReadWritePaths=/data/guestbook",
    );
    let drop_in = "[Service]\nReadWritePaths=/data/guestbook\n";
    host.write(
        "/etc/systemd/system/cid.service.d/work.conf",
        drop_in,
        0o644,
    )
    .unwrap();
    run(&host, "systemctl daemon-reload && systemctl restart cid");
    is_well(&host);
    run(
        &host,
        "cictl create bob@example.com && test -d /data/guestbook/bob---example-com/src",
    );
    is_well(&host);
}

#[test]
fn nginx() {
    let Some(host) = cid() else { return };
    run(
        &host,
        "cictl create bob@example.com && mv /etc/nginx/conf.d/cid.conf /root",
    );
    is_broken(
        &host,
        "nginx include: nothing that nginx reads includes",
        "--force-confmiss",
    );
    run(&host, "mv /root/cid.conf /etc/nginx/conf.d");
    is_well(&host);
    run(&host, "mv /etc/nginx/conf.d/names.conf /root");
    is_broken(
        &host,
        "nginx names of guestbook: a name below guestbook.test",
        "server_names_hash_bucket_size 128",
    );
    run(&host, "mv /root/names.conf /etc/nginx/conf.d");
    is_well(&host);
    for (user, what) in [
        ("root", "they are root's"),
        ("deploy", "they run as deploy"),
    ] {
        let change = format!(
            "sed -i 's/^user .*;/user {user};/' /etc/nginx/nginx.conf && systemctl restart nginx"
        );
        run(&host, &change);
        let what = format!("nginx workers: {what}");
        is_broken(&host, &what, "user www-data;");
    }
    run(
        &host,
        "sed -i 's/^user .*;/user www-data;/' /etc/nginx/nginx.conf && systemctl restart nginx",
    );
    is_well(&host);
    run(&host, "systemctl stop nginx");
    is_broken(
        &host,
        "nginx: nobody listens on port 80",
        "systemctl start nginx",
    );
    run(&host, "systemctl start nginx");
    is_well(&host);
}

#[test]
fn names() {
    let Some(host) = cid() else { return };
    project(&host, "guestbook.test", "guestbook.example.org");
    is_broken(
        &host,
        "dns of guestbook: no name server knows cid-",
        "*.guestbook.example.org",
    );
    host.write("/root/dns.py", NAME_SERVER, 0o644).unwrap();
    run(&host, "systemd-run --quiet --unit=dns python3 /root/dns.py");
    run(
        &host,
        "rm -f /etc/resolv.conf; echo nameserver 127.0.0.1 > /etc/resolv.conf",
    );
    soon("the names are known", || {
        host.run(&["cictl", "doctor"]).unwrap().status == 0
    });
    run(&host, "systemctl stop dns");
    is_broken(&host, "dns of guestbook", "*.guestbook.example.org");
}

#[test]
fn the_git_server() {
    let Some(host) = cid() else { return };
    run(&host, "mv /srv/git/guestbook.git /srv/git/away");
    is_broken(
        &host,
        "remote of guestbook: cannot fetch from",
        "check the URL",
    );
    run(&host, "mv /srv/git/away /srv/git/guestbook.git");
    is_well(&host);

    run(&host, "mkdir -p /run/sshd && systemctl start ssh");
    project(&host, "url = \"/srv", "url = \"ssh://deploy@127.0.0.1/srv");
    is_broken(
        &host,
        "the host key of 127.0.0.1 is not known",
        "ssh-keyscan 127.0.0.1 >> /home/deploy/.ssh/known_hosts",
    );
    let deploy = |line: &str| {
        host.run_as("deploy", &["sh", "-c", line])
            .unwrap()
            .ok()
            .unwrap()
    };
    deploy("mkdir -p -m 700 ~/.ssh && ssh-keyscan 127.0.0.1 >> ~/.ssh/known_hosts");
    is_broken(
        &host,
        "there is no key for the server to accept",
        "make one: runuser -u deploy -- ssh-keygen -t ed25519 -N '' -f /home/deploy/.ssh/id_ed25519",
    );
    deploy("ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519");
    is_broken(
        &host,
        "the server does not accept the key",
        "/home/deploy/.ssh",
    );
    deploy("cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys");
    is_well(&host);
}

#[test]
fn supervisord_that_is_down() {
    let Some(host) = cid() else { return };
    run(&host, "systemctl stop cid-supervisor");
    is_broken(
        &host,
        "supervisord: cannot ask",
        "systemctl start cid-supervisor",
    );
    run(&host, "systemctl start cid-supervisor");
    soon("all is well", || {
        host.run(&["cictl", "doctor"]).unwrap().status == 0
    });

    // Debian's own supervisord does not belong to cid, but costs memory.
    let notes = |host: &Host| words(&host.run(&["cictl", "doctor"]).unwrap());
    let line = "systemctl disable --now supervisor";
    run(&host, "systemctl enable --now supervisor");
    let told = notes(&host);
    assert!(
        told.contains("[note] supervisor.service") && told.contains(line),
        "{told}"
    );
    run(&host, line);
    assert!(!notes(&host).contains(line));
    is_well(&host);
}
