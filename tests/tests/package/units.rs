//! Units as systemd reads them.

use super::{checkout, directives, names, read, run};
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

/// What stands in for the machine's own units and programs.
const TARGETS: &[&str] = &[
    "basic",
    "local-fs",
    "multi-user",
    "network",
    "network-online",
    "nss-user-lookup",
    "paths",
    "remote-fs",
    "shutdown",
    "slices",
    "sockets",
    "sysinit",
    "timers",
];
const PROGRAMS: &[&str] = &[
    "usr/bin/supervisord",
    "usr/lib/cid/cid-helper",
    "usr/lib/cid/cid",
    "usr/lib/cid/cid-web",
];

#[test]
fn systemd_has_nothing_to_say_against_them() {
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("usr/lib/systemd/system");
    fs::create_dir_all(&units).unwrap();
    for target in TARGETS {
        fs::write(units.join(format!("{target}.target")), "[Unit]\n").unwrap();
    }
    for program in PROGRAMS {
        let path = root.path().join(program);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let names = names("systemd/system");
    for name in &names {
        let to = units.join(name);
        fs::copy(checkout("systemd/system").join(name), to).unwrap();
    }
    let output = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(format!("--root={}", root.path().display()))
        .args(names.iter().map(|name| units.join(name))));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{complaints}"
    );
}

#[test]
fn the_engines_of_workspaces_are_not_tied_to_the_daemon() {
    let tied = [
        "Requires",
        "BindsTo",
        "PartOf",
        "Requisite",
        "PropagatesStopTo",
    ];
    for (of, other) in [("cid", "cid-supervisor"), ("cid-supervisor", "cid.service")] {
        for (_, key, value) in directives(&read(&format!("systemd/system/{of}.service"))) {
            assert!(
                !(tied.contains(&key.as_str()) && value.contains(other)),
                "{of}.service: {key}={value}"
            );
        }
    }
}

#[test]
fn what_the_daemon_writes_exists_before_it_starts() {
    let made = read("systemd/tmpfiles.d/cid.conf");
    for unit in names("systemd/system") {
        for (_, key, value) in directives(&read(&format!("systemd/system/{unit}"))) {
            if !matches!(
                key.as_str(),
                "ReadWritePaths" | "BindPaths" | "BindReadOnlyPaths"
            ) {
                continue;
            }
            for path in value.split(' ').filter(|path| !path.starts_with('-')) {
                assert!(
                    made.lines()
                        .any(|line| line.split_whitespace().nth(1) == Some(path)),
                    "{unit} needs {path}, and tmpfiles.d does not make it"
                );
            }
        }
    }
}
