//! Sockets of others.

use crate::{
    hostile::{Attack, attack, hostile, tree},
    stage::soon,
};
use cid_testkit::host::{Debian, Host};

/// Tries every socket there is, those that it can see and those that it knows of.
const DIAL: &str = r#"
import os, socket, sys
paths = set(l.split()[7] for l in open('/proc/net/unix') if len(l.split()) > 7)
paths |= set(sys.argv[1:])
for at, folders, files in os.walk('/run'):
    paths |= set(os.path.join(at, name) for name in folders + files)
for path in sorted(paths):
    name = '\0' + path[1:] if path.startswith('@') else path
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            socket.socket(socket.AF_UNIX, kind).connect(name)
            print('CONNECTED', kind, path, flush=True)
        except OSError as error:
            print('refused', path, error.errno, flush=True)
print('the end')
"#;
/// Those of the system and cid's own, in case none of them shows up in the list.
const SOCKETS: [&str; 11] = [
    "/run/cid/cid.sock",
    "/run/cid/web/web.sock",
    "/run/cid/supervisor/supervisor.sock",
    "/run/cid-web/http.sock",
    "/run/dbus/system_bus_socket",
    "/run/supervisor.sock",
    "/run/systemd/private",
    "/run/systemd/notify",
    "/run/systemd/journal/socket",
    SSHD,
    FURTHER,
];
/// From systemd 256 on, where sshd is installed: a key of the app's own making would let it in.
const SSHD: &str = "/run/ssh-unix-local/socket";
/// Of a package that cid does not know, and open to everybody.
const FURTHER: &str = "/run/further/socket";
const FURTHER_UNITS: [(&str, &str); 2] = [
    (
        "further.socket",
        "[Socket]\nListenStream=/run/further/socket\nSocketMode=0666\n",
    ),
    ("further.service", "[Service]\nExecStart=/bin/sleep 600\n"),
];

fn dialled(host: &Host, who: &str, file: &str) -> String {
    let path = format!("{}/{file}", tree(who));
    soon("the attack is over", || {
        host.read(&path)
            .is_ok_and(|said| said.ends_with("the end\n"))
    });
    host.read(&path).unwrap()
}

#[test]
fn dialling_every_socket_of_the_machine() {
    let known = SOCKETS.join(" ");
    let script = |to: &str| format!("python3 - {known} > {to} 2>&1 <<'END'\n{DIAL}END\n");
    let (install, app) = (script("by-install"), script("by-app"));
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: &app,
    }]) else {
        return;
    };
    // So that they are there to be dialled.
    for (name, unit) in FURTHER_UNITS {
        host.write(&format!("/run/systemd/system/{name}"), unit, 0o644)
            .unwrap();
    }
    let run = |args: &[&str]| host.run(args).unwrap().ok().unwrap();
    run(&["systemctl", "daemon-reload"]);
    run(&["systemctl", "start", "cid-web", "polkit", "further.socket"]);
    assert!(host.exists(FURTHER).unwrap());
    let has_sshd = Debian::asked().unwrap().number >= 13;
    assert_eq!(host.exists(SSHD).unwrap(), has_sshd);
    attack(&host, "mallory").ok().unwrap();
    for file in ["by-install", "by-app"] {
        let said = dialled(&host, "mallory", file);
        for known in SOCKETS {
            assert!(
                said.contains(&format!("refused {known} ")),
                "{known}: {said}"
            );
        }
        assert!(!said.contains("CONNECTED"), "{file}: {said}");
    }
}
