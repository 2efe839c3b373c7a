//! What is left of root's rights.

use crate::{
    hostile::{Attack, attack, hostile, tree},
    stage::{owner_of, soon},
};

/// What is left of root's rights and of the daemon's things: descriptors, groups, ways back, variables.
const REMAINS: &str = r#"
import json, os
def is_open(number):
    try:
        os.fstat(number)
        return True
    except OSError:
        return False
def succeeds(call):
    try:
        call()
        return True
    except OSError:
        return False
back = {
    'setuid': lambda: os.setuid(0),
    'setresuid': lambda: os.setresuid(-1, 0, -1),
    'setgid': lambda: os.setgid(0),
    'setgroups': lambda: os.setgroups([0]),
    'setregid': lambda: os.setregid(-1, 0),
    'chroot': lambda: os.chroot('.'),
    'nice': lambda: os.nice(-5),
}
print(json.dumps({
    'open': [number for number in range(3, 4096) if is_open(number)],
    'back': [name for name in back if succeeds(back[name])],
    'env': sorted(os.environ),
    'status': dict(line.rstrip().split(':\t', 1) for line in open('/proc/self/status') if ':\t' in line),
}))
"#;
/// All that a command of a repository is told, and what a shell adds.
const TOLD: &[&str] = &[
    "CID_PROCESS",
    "CID_RUN_DIR",
    "CID_UNIT",
    "CID_URL",
    "CID_WORKSPACE",
    "CID_JOB",
    "HOME",
    "HOST",
    "LANG",
    "LC_CTYPE",
    "OLDPWD",
    "PATH",
    "PORT",
    "PWD",
    "PYTHONUNBUFFERED",
    "SHLVL",
    "SOCKET",
    "TMPDIR",
    "UV_LINK_MODE",
    "UV_PROJECT_ENVIRONMENT",
    "VIRTUAL_ENV",
    "_",
];

#[test]
fn looking_for_what_is_left_of_roots_rights() {
    let script = |to: &str| format!("python3 - > {to} 2>&1 <<'END'\n{REMAINS}END\n");
    let (install, app) = (script("by-install"), script("by-app"));
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: &app,
    }]) else {
        return;
    };
    attack(&host, "mallory").ok().unwrap();
    let run = [
        "cictl",
        "run",
        "--project",
        "hostile",
        "mallory@example.com",
        "--",
        "python3",
        "-c",
        REMAINS,
    ];
    let by_run = host.run(&run).unwrap().ok().unwrap().stdout;
    let file = |name: &str| {
        let path = format!("{}/{name}", tree("mallory"));
        soon("it has looked", || {
            host.read(&path).is_ok_and(|said| said.ends_with("}\n"))
        });
        host.read(&path).unwrap()
    };
    let group = host
        .run(&["getent", "group", "cid-hostile"])
        .unwrap()
        .stdout;
    let group = group.split(':').nth(2).unwrap().to_owned();
    let uid = owner_of(&host, "%u", &tree("mallory"));
    for (who, said) in [
        ("install", file("by-install")),
        ("app", file("by-app")),
        ("run", by_run),
    ] {
        let found: serde_json::Value = serde_json::from_str(&said).unwrap();
        for nothing in ["open", "back"] {
            assert_eq!(found[nothing], serde_json::json!([]), "{who}: {said}");
        }
        let names = found["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap());
        let untold: Vec<&str> = names.filter(|name| !TOLD.contains(name)).collect();
        assert_eq!(untold, [""; 0], "{who}");
        let field = |name: &str| {
            let text = found["status"][name].as_str().unwrap();
            text.split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(field("Uid"), [uid.as_str(); 4], "{who}");
        assert_eq!(field("Gid"), [uid.as_str(); 4], "{who}");
        let mut others = field("Groups");
        // systemd names the first group among them once more.
        others.retain(|group| *group != uid);
        assert_eq!(others, [group.as_str()], "{who}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(set), ["0000000000000000"], "{who}: {set}");
        }
        assert_eq!(field("NoNewPrivs"), ["1"], "{who}");
        assert_eq!(field("Seccomp"), ["2"], "{who}");
    }
}
