//! Commands in a host.

use super::Host;
use crate::command::{Output, run};
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command, time::Duration};

const LIMIT: Duration = Duration::from_secs(120);
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Host {
    /// Runs a command as root, with a short environment and no standard input.
    ///
    /// # Errors
    /// The host is off, or the command does not end in two minutes. What its exit status says is
    /// the caller's to ask.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        self.run_within(LIMIT, args)
    }

    /// Runs a command as root that may take this long.
    ///
    /// # Errors
    /// The host is off, or the command does not end in time.
    pub fn run_within(&self, limit: Duration, args: &[&str]) -> Result<Output> {
        run(&mut self.command(args)?, limit)
    }

    /// Runs a command as this user, with the user's groups and no privileges.
    ///
    /// # Errors
    /// There is no such user; otherwise as [`Host::run`].
    pub fn run_as(&self, user: &str, args: &[&str]) -> Result<Output> {
        run(&mut self.command_as(user, args)?, LIMIT)
    }

    /// A command as root, to be started as one likes. What it starts ends with the host.
    ///
    /// # Errors
    /// The host is off.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = enter(self.leader()?);
        command.args(["HOME=/root", "USER=root", "LOGNAME=root"]);
        command.args(args);
        Ok(command)
    }

    /// A command as this user.
    ///
    /// # Errors
    /// The host is off, or there is no such user.
    pub fn command_as(&self, user: &str, args: &[&str]) -> Result<Command> {
        let found = self.run(&["getent", "passwd", user])?;
        let account: Vec<&str> = found.stdout.trim_end().split(':').collect();
        let [name, _, uid, gid, _, home, _] = account[..] else {
            anyhow::bail!("the host has no user {user}");
        };
        let mut command = enter(self.leader()?);
        command
            .arg(format!("HOME={home}"))
            .arg(format!("USER={name}"))
            .arg(format!("LOGNAME={name}"))
            .args(["setpriv", "--reuid", uid, "--regid", gid, "--init-groups"])
            .args(["--inh-caps=-all", "--"])
            .args(args);
        Ok(command)
    }

    /// Installs a package file. Its dependencies have to be there.
    ///
    /// # Errors
    /// apt refuses or fails; the message holds what it said.
    pub fn install_deb(&self, deb: &Path) -> Result<()> {
        let name = deb.file_name().context("not a file's path")?;
        let inside = format!("/var/tmp/{}", name.to_string_lossy());
        let bytes = fs::read(deb).with_context(|| format!("cannot read {}", deb.display()))?;
        self.write(&inside, bytes, 0o644)?;
        let install = [
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "install",
            "--quiet",
            "--yes",
            "--no-install-recommends",
            // An older one too, and files that a test has changed.
            "--allow-downgrades",
            "--option=Dpkg::Options::=--force-confdef",
            "--option=Dpkg::Options::=--force-confold",
            &inside,
        ];
        self.run_within(INSTALL_LIMIT, &install)?.ok()?;
        self.run(&["rm", &inside])?.ok().map(drop)
    }

    /// What a unit wrote to the journal since the host booted.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn journal(&self, unit: &str) -> Result<String> {
        let unit = format!("--unit={unit}");
        let args = ["journalctl", "--no-pager", "--boot", "--quiet", &unit];
        Ok(self.run(&args)?.ok()?.stdout)
    }
}

/// Into the namespaces of this process; more variables and the command follow.
pub(super) fn enter(leader: i32) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg("--target")
        .arg(leader.to_string())
        .args(["--all", "--", "env", "--ignore-environment"])
        .args([PATH, "LANG=C.UTF-8"]);
    command
}
