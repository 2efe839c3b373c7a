//! Makes the Debian that hosts are booted from.

use super::{Debian, wheels};
use crate::{command::run, project::examples_dir};
use anyhow::{Context, Result};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// What the package `cid` depends on, what a Debian server has anyway, and what tests look with.
const PACKAGES: &[&str] = &[
    "acl",
    "adduser",
    // This one, cron, exim4 and systemd-container run things as accounts: no workspace's may be one of them.
    "at",
    "ca-certificates",
    "cron",
    "curl",
    "dbus",
    "exim4-daemon-light",
    "git",
    "iproute2",
    // Not a dependency of polkitd, which cannot be configured without it.
    "libpam-systemd",
    "nginx-light",
    "openssh-client",
    "openssh-server",
    "passwd",
    "polkitd",
    "procps",
    "python3-venv",
    "supervisor",
    "systemd",
    "systemd-container",
    "systemd-sysv",
];
/// They would wake up during tests, or look after disks that are not there.
const MASKED: &[&str] = &[
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "exim4-base.timer",
    "fstrim.timer",
];
/// There, but started only by tests that want it.
const DISABLED: &[&str] = &[
    "atd.service",
    "cron.service",
    "exim4.service",
    "ssh.service",
];
/// debootstrap copies the name and the name servers of this machine; a host reaches none.
const FILES: &[(&str, &str)] = &[
    ("etc/hostname", "cid-host\n"),
    ("etc/hosts", "127.0.0.1 localhost cid-host\n::1 localhost\n"),
    ("etc/resolv.conf", ""),
];
/// Counted up when this file makes something else from the same lists.
const VERSION: u32 = 1;
const LIMIT: Duration = Duration::from_secs(30 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// Changes with everything that decides what the image holds.
pub(super) fn key(debian: Debian) -> Result<u64> {
    let requirements = requirements();
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let mut hasher = DefaultHasher::new();
    (VERSION, debian, PACKAGES, MASKED, DISABLED, FILES, wanted).hash(&mut hasher);
    Ok(hasher.finish())
}

/// Makes the whole file system at `root`.
pub(super) fn build(debian: Debian, root: &Path) -> Result<()> {
    debootstrap(debian, root)?;
    for (file, content) in FILES {
        fs::write(root.join(file), content)?;
    }
    for cache in ["var/cache/apt/archives", "var/lib/apt/lists"] {
        empty(&root.join(cache))?;
    }
    systemctl(root, "mask", MASKED)?;
    systemctl(root, "disable", DISABLED)?;
    wheels::bring(debian, root, &requirements())
}

/// In namespaces of its own, so that what it mounts and starts goes when it is killed.
fn debootstrap(debian: Debian, root: &Path) -> Result<()> {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["debootstrap", "--variant=minbase"])
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg(debian.suite)
        .arg(root)
        .args(mirror(debian));
    run(&mut command, LIMIT)?.ok()?;
    Ok(())
}

/// Where apt on this machine has Debian from: this release, else another one, for a mirror has them all.
/// debootstrap knows where to ask otherwise.
fn mirror(debian: Debian) -> Option<String> {
    let mut command = Command::new("apt-get");
    command
        .args(["indextargets", "--format"])
        .args(["$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)"])
        .arg("Created-By: Packages");
    let listed = run(&mut command, MINUTE).ok()?.stdout;
    let of = |release: Debian| {
        let wanted = format!("Debian {} main ", release.suite);
        let mut lines = listed.lines();
        lines.find_map(|line| line.strip_prefix(&wanted).map(str::to_owned))
    };
    of(debian).or_else(|| Debian::ALL.into_iter().rev().find_map(of))
}

fn systemctl(root: &Path, verb: &str, units: &[&str]) -> Result<()> {
    let mut command = Command::new("chroot");
    command.arg(root).args(["systemctl", verb]).args(units);
    run(&mut command, MINUTE)?.ok()?;
    Ok(())
}

fn empty(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_file() {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn requirements() -> PathBuf {
    examples_dir().join("guestbook/requirements.txt")
}
