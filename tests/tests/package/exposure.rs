//! How exposed each unit is, by systemd's own reckoning (0 none, 100 all), and how much is let pass.

use super::{names, read, run};
use std::{fs, process::Command};

/// What systemd counts a tenth of: 19 is shown as 1.9. A unit may get better, never worse.
const LIMITS: &[(&str, u32)] = &[
    // 0.4 for root, 0.4 for chown, 0.9 for the health check by way of the loopback.
    ("system/cid.service", 19),
    // As nginx's test.
    ("system/cid-nginx-check.service", 10),
    ("system/cid-web.service", 2),
    // It starts other people's apps: they need the network, and it the right to become their users. 0.1
    // for a control group for each of them.
    ("system/cid-supervisor.service", 23),
    ("helpers/accounts.service", 12),
    ("helpers/build.service", 15),
    ("helpers/git.service", 14),
    // 0.4 for root, 0.2 for reading what is not root's.
    ("helpers/nginx-test.service", 10),
    ("helpers/purge.service", 11),
    // 0.4 for root, 0.4 for chown, 0.2 for reading what is not root's.
    ("helpers/seal.service", 14),
    ("helpers/tools.service", 15),
    ("helpers/workspace.service", 15),
];

/// Units of helpers that run as a user which is added when they are made.
const AS_A_USER: &[&str] = &[
    "helpers/build.service",
    "helpers/git.service",
    "helpers/tools.service",
    "helpers/workspace.service",
];

#[test]
fn no_unit_is_more_exposed_than_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut worse = Vec::new();
    for (unit, limit) in LIMITS {
        let path = dir.path().join(unit.replace('/', "-"));
        let mut text = read(&format!("systemd/{unit}"));
        if unit.starts_with("helpers/") {
            text.push_str("ExecStart=/usr/lib/cid/cid-helper serve\n");
        }
        if AS_A_USER.contains(unit) {
            text.push_str("User=cidw-1\nGroup=cidw-1\nSupplementaryGroups=cid-shop\n");
        }
        fs::write(&path, text).unwrap();
        let output = run(Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={limit}"))
            .arg(&path));
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            let counted: Vec<&str> = text.lines().filter(|line| !line.contains('✓')).collect();
            worse.push(format!(
                "{unit} is above {limit}:\n{}\n{}",
                counted.join("\n"),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}

#[test]
fn every_service_has_a_limit() {
    for folder in ["system", "helpers"] {
        for name in names(&format!("systemd/{folder}")) {
            let unit = format!("{folder}/{name}");
            assert!(
                !name.ends_with(".service") || LIMITS.iter().any(|(of, _)| *of == unit),
                "{unit} has none"
            );
        }
    }
}
