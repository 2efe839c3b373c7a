//! A workspace's process on a host.

use crate::scene::{Scene, attempts, is_confined, number, readable};
use cid_protocol::run_file::{Limits, RunAs};
use std::{
    fs::{self, File, Permissions},
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{MetadataExt, PermissionsExt, chown},
            net::{SocketAddr, UnixListener},
        },
    },
    path::Path,
    process::{Command, Output},
};

fn web(scene: &Scene, file: &Path) -> Output {
    let mut command = scene.as_root();
    command.args(["app", "--require-user"]).arg(file).arg("web");
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn keeps_nothing_of_root() {
    let Some(scene) = Scene::set() else { return };
    let leaked = File::create(scene.path("leaked")).unwrap();
    nix::fcntl::fcntl(
        &leaked,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )
    .unwrap();
    let line =
        "cat /proc/$$/status; (ls /proc/$$/fd > fds); echo Fds: $(cat fds); echo Dir: $(pwd)";
    let limits = Limits {
        memory: Some(2 << 30),
        open_files: Some(333),
        processes: Some(44),
        file_size: Some(1 << 30),
    };
    let run_as = RunAs {
        limits,
        ..scene.run_as()
    };
    let line = format!("{line}; ulimit -a; ulimit -Hc");
    let output = web(&scene, &scene.run_file(&line, Some(run_as)));
    let said = text(&output);
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {said}"))
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let me = scene.uid.to_string();
    assert_eq!(field("Uid:"), [me.as_str(); 4]);
    assert_eq!(field("Gid:"), [me.as_str(); 4]);
    assert_eq!(field("Groups:"), [scene.group.to_string()]);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), ["0000000000000000"], "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    assert_eq!(field("Fds:"), ["0", "1", "2"]);
    assert_eq!(
        field("Dir:"),
        [scene.path("workspace").display().to_string()]
    );
    assert!(
        said.contains("333") && said.lines().any(|line| line == "0"),
        "{said}"
    );

    let pid_file = fs::metadata(scene.path("pids/pressa.anna.web")).unwrap();
    assert_eq!(pid_file.uid(), 0, "written before it was somebody else");
}

#[test]
fn reaches_its_own_and_the_systems_files_only() {
    let Some(scene) = Scene::set() else { return };
    let open = scene.folder("open", 0, 0o777);
    let text_of_others = readable(&open, "file");
    let other = scene.folder("other", number(), 0o700);
    let secret = readable(&other, "secret");
    let file = scene.run_file("", Some(scene.run_as()));
    let tool = readable(&scene.path("environment"), "tool");
    fs::write(&tool, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(&tool, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(scene.path("environment"), Permissions::from_mode(0o777)).unwrap();
    let (open, tool) = (open.display(), tool.display());
    let python = "/usr/bin/python3 -c";
    let list = [
        (
            "own",
            "echo x > file && mkdir -p a/b && mv file a/b && mv a/b c && rm -r c".into(),
        ),
        ("scratch", "f=$(mktemp -p /dev/shm) && rm $f".into()),
        ("devices", "head -c1 /dev/urandom && : > /dev/null".into()),
        ("environment", format!("{tool}")),
        (
            "names",
            "getent hosts localhost && getent passwd root".into(),
        ),
        (
            "python",
            format!("{python} 'import os, ssl, multiprocessing as m; m.Lock(); os.cpu_count()'"),
        ),
        ("root", "setpriv --reuid=0 true".into()),
        ("group", "setpriv --groups=0 true".into()),
        ("run-file", format!("cat {}", file.display())),
        ("others", format!("cat {}", secret.display())),
        ("pids", format!("ls {}", scene.path("pids").display())),
        ("walled-write", format!("echo x > {open}/new")),
        ("walled-read", format!("cat {}", text_of_others.display())),
        ("walled-list", format!("ls {open}")),
        ("walled-link", format!("ln -s {open} l && echo x > l/new")),
        ("walled-environment", format!("echo x > {tool}")),
        ("walled-home", "ls /srv".into()),
        // All apps of a machine share it.
        ("walled-tmp", "f=$(mktemp -p /tmp) && rm $f".into()),
    ];
    let output = web(
        &scene,
        &scene.run_file(&attempts(&list), Some(scene.run_as())),
    );
    let said = text(&output);
    let confined = is_confined(&output.stderr);
    for (place, (name, _)) in list.iter().enumerate() {
        let expected = match place {
            0..6 => "yes",
            _ if name.starts_with("walled-") && !confined => continue,
            _ => "no",
        };
        assert!(
            said.contains(&format!("{name} {expected}\n")),
            "{name}: {said}{output:?}"
        );
    }
}

/// A process that listens where a neighbour's app did gets its visitors.
#[test]
fn takes_no_port_of_a_neighbour_and_calls_no_nameless_socket() {
    let Some(scene) = Scene::set() else { return };
    let [own, neighbours] = free_ports();
    let name = format!("cid-test-{}", number());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let python =
        |what: &str| format!("/usr/bin/python3 -c 'import socket as s; t=s.socket(); {what}'");
    let listen = |port: u16| python(&format!("t.bind((\"127.0.0.1\", {port})); t.listen()"));
    let list = [
        ("own", listen(own)),
        ("any", listen(0)),
        ("neighbours", listen(neighbours)),
        // A listener of MPTCP's answers TCP clients as well, and Landlock does not know it.
        (
            "multipath",
            python("s.socket(s.AF_INET, s.SOCK_STREAM, 262)"),
        ),
        (
            "nameless",
            python(&format!("s.socket(s.AF_UNIX).connect(\"\\0{name}\")")),
        ),
    ];
    let run_as = RunAs {
        ports: vec![own],
        ..scene.run_as()
    };
    let output = web(&scene, &scene.run_file(&attempts(&list), Some(run_as)));
    let said = text(&output);
    let since = |version| is_confined(&output.stderr) && kernel() >= version;
    let expected = [
        ("own", true),
        ("any", true),
        ("neighbours", !since((6, 7))),
        ("multipath", false),
        ("nameless", !since((6, 12))),
    ];
    for (name, may) in expected {
        let said_so = said.contains(&format!("{name} {}\n", if may { "yes" } else { "no" }));
        assert!(said_so, "{name}: {said}{output:?}");
    }
}

/// Ports that nobody has now.
fn free_ports() -> [u16; 2] {
    let taken = [0; 2].map(|any| TcpListener::bind(("127.0.0.1", any)).unwrap());
    taken
        .each_ref()
        .map(|listener| listener.local_addr().unwrap().port())
}

/// The running kernel's version, as far as rules depend on it.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().unwrap().parse().unwrap();
    (next(), next())
}

#[test]
fn refuses_what_would_leave_it_root() {
    let Some(scene) = Scene::set() else { return };
    let fails = |file: &Path, why: &str| {
        let output = web(&scene, file);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(127), "{why}");
        assert!(output.stdout.is_empty() && said.contains(why), "{said}");
    };
    fails(&scene.run_file("id", None), "names no user");
    let root = |change: fn(&mut RunAs)| {
        let mut run_as = scene.run_as();
        change(&mut run_as);
        scene.run_file("id", Some(run_as))
    };
    fails(&root(|r| r.uid = 0), "user 0 is not one of a workspace");
    fails(&root(|r| r.uid = 33), "user 33 is not one of a workspace");
    fails(&root(|r| r.gid = 0), "group 0 is not one of a workspace");
    fails(&root(|r| r.groups.push(0)), "group 0 is not one");
    fails(&root(|r| r.uid = u32::MAX), "is not one of a workspace");

    let file = scene.run_file("id", Some(scene.run_as()));
    chown(&file, Some(scene.uid), None).unwrap();
    // Root without CAP_DAC_OVERRIDE cannot even read it, unless it is open to all.
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    fails(&file, "others than root can write it");
    chown(&file, Some(0), None).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    fails(&file, "others than root can write it");
    let link = scene.path("link.json");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    fails(&link, "cannot read");
}

#[test]
fn refuses_when_a_right_cannot_be_given_up() {
    let Some(scene) = Scene::set() else { return };
    let file = scene.run_file("id", Some(scene.run_as()));
    // Without CAP_SETPCAP the bounding set stays, without CAP_SETGID the groups, and so on.
    for lacking in ["setpcap", "setgid", "setuid"] {
        let output = Command::new("setpriv")
            .arg(format!("--bounding-set=-{lacking}"))
            .args(["--inh-caps=-all", "--"])
            .arg(crate::rig::binary())
            .arg("app")
            .arg(&file)
            .arg("web")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(127), "{lacking}: {output:?}");
        assert!(output.stdout.is_empty());
    }
}
