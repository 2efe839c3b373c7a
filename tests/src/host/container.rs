//! The booted container: systemd-nspawn, and the first process in it.

use super::{
    cgroup::{Group, LENT},
    inside,
    scratch::Scratch,
};
use crate::{command::run, process::Process, wait::wait_until};
use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// System calls with which processes inside confine themselves; not in its own list.
const CONFINING: &str = "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp";
const BOOT_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Container {
    nspawn: Child,
    leader: i32,
    group: Group,
}

impl Container {
    /// Boots what is mounted there, with controllers for its units' limits or without.
    pub(super) fn boot(scratch: &Scratch, lends: bool) -> Result<Self> {
        let lent = if lends { &LENT[..] } else { &[] };
        let group = Group::make(scratch.name(), lent)?;
        group.record(&scratch.groups_path())?;
        let mut container = Self {
            nspawn: spawn(scratch, &group)?,
            leader: 0,
            group,
        };
        let booted = container.wait_until_booted();
        match booted.and_then(|()| lent.iter().try_for_each(|of| container.lend(of))) {
            Ok(()) => Ok(container),
            Err(error) => {
                let killed = container.kill();
                let console = scratch.console();
                let lines: Vec<&str> = console.lines().collect();
                let tail = lines[lines.len().saturating_sub(40)..].join("\n");
                killed?;
                Err(error.context(format!("the host did not boot; its console:\n{tail}")))
            }
        }
    }

    /// Lets systemd make groups in a hierarchy, which systemd-nspawn mounts read-only. Units that are
    /// started from then on have theirs.
    fn lend(&self, controller: &str) -> Result<()> {
        let mut remount = inside::enter(self.leader);
        remount.args(["mount", "-o", "remount,bind,rw"]);
        remount.arg(format!("/sys/fs/cgroup/{controller}"));
        run(&mut remount, END_LIMIT)?.ok()?;
        let mut again = inside::enter(self.leader);
        again.args(["systemctl", "daemon-reexec"]);
        run(&mut again, END_LIMIT)?.ok().map(drop)
    }

    /// Its process id on this machine.
    pub(super) fn leader(&self) -> i32 {
        self.leader
    }

    /// Waits until it has shut itself down.
    pub(super) fn wait(mut self, limit: Duration) -> Result<()> {
        let ended = self.wait_for_end(limit);
        self.end_group()?;
        let status = ended?;
        anyhow::ensure!(status.success(), "systemd-nspawn ended with {status}");
        Ok(())
    }

    /// Kills everything in it at once, without a shutdown.
    pub(super) fn kill(mut self) -> Result<()> {
        if self.leader > 0 {
            // The kernel ends all others with the first, and systemd-nspawn tidies up after it.
            let _ = kill(Pid::from_raw(self.leader), Signal::SIGKILL);
            let _ = self.wait_for_end(END_LIMIT);
        }
        self.end_group()
    }

    fn end_group(&mut self) -> Result<()> {
        // Whether it is gone already does not matter.
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
        self.group.kill_and_remove()
    }

    fn wait_for_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        Ok(wait_until("the host to end", limit, || {
            self.nspawn.try_wait().transpose()
        })??)
    }

    fn wait_until_booted(&mut self) -> Result<()> {
        let mut said = String::new();
        let booted = wait_until("the host to boot", BOOT_LIMIT, || {
            if let Ok(Some(status)) = self.nspawn.try_wait() {
                return Some(Err(anyhow::anyhow!("systemd-nspawn ended with {status}")));
            }
            self.leader = leader(self.nspawn.id())?;
            let mut ask = inside::enter(self.leader);
            ask.args(["systemctl", "is-system-running"]);
            said = run(&mut ask, END_LIMIT).ok()?.text();
            ["running", "degraded"]
                .contains(&said.trim())
                .then_some(Ok(()))
        });
        booted
            .with_context(|| format!("systemd says: {}", said.trim()))
            .flatten()
    }
}

fn spawn(scratch: &Scratch, group: &Group) -> Result<Child> {
    // systemd-nspawn makes its groups below the one it starts in, so it must be there before it
    // starts: flock waits for the lock, then becomes systemd-nspawn.
    let gate_path = scratch.dir().join("gate");
    let gate = Flock::lock(File::create(&gate_path)?, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)?;
    let console = File::options()
        .create(true)
        .append(true)
        .open(scratch.console_path())?;
    let mut command = Command::new("flock");
    command.arg("--no-fork").arg(&gate_path);
    command
        .args(["systemd-nspawn", "--quiet", "--boot"])
        .args(["--register=no", "--keep-unit", "--private-network"])
        .args(["--console=pipe", "--link-journal=no", "--timezone=off"])
        .args(["--resolv-conf=off"])
        .arg(format!("--system-call-filter={CONFINING}"))
        .arg(format!("--machine={}", scratch.name()))
        .arg(format!("--directory={}", scratch.root().display()))
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console);
    let mut child = command.spawn().context("cannot start systemd-nspawn")?;
    if let Err(error) = group.add(child.id()) {
        child.kill()?;
        child.wait()?;
        bail!(error);
    }
    drop(gate);
    Ok(child)
}

/// The first process of the namespace that this systemd-nspawn made, once it is systemd.
fn leader(nspawn: u32) -> Option<i32> {
    let nspawn = i32::try_from(nspawn).ok()?;
    fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::look)
        .find(|process| process.parent == nspawn && is_init(process))
        .map(|process| process.pid)
}

fn is_init(process: &Process) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
    let mut ids = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .into_iter()
        .flat_map(str::split_whitespace);
    process.name == "systemd" && ids.next_back() == Some("1")
}
