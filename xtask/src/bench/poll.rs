//! What one look at a remote with many branches costs in processor time, while nothing is new there.

use super::quiet_disk;
use anyhow::{Context, Result, ensure};
use cid_testkit::{GitServer, Sandbox, Tree, git, wait_until};
use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

pub(super) const BRANCHES: usize = 1000;
const PROJECT: &str = "many";
/// A push to it is followed in every way: nothing of a look is left out.
const TABLES: &str = "poll = \"off\"\ndeploy_workspaces = true\n[app]\ntest = [[\"true\"]]\n";
const SAMPLES: usize = 7;
/// The kernel tells processor time in hundredths of a second, so each sample is of several looks.
const LOOKS: u8 = 10;
const LIMIT: Duration = Duration::from_secs(120);
/// A second in the kernel's files, on every Linux that cid runs on.
const TICKS: f64 = 100.0;

/// Writes the project's file, before the daemon starts.
pub(super) fn set_up(sandbox: &Sandbox) -> Result<()> {
    let server = GitServer::local_tree(sandbox.home()?, PROJECT, &Tree::hello())?;
    add_branches(server.path())?;
    sandbox.write_project(PROJECT, &server.project_toml(PROJECT, TABLES))
}

/// Processor seconds of one look, several times. The git server's side counts too, for it is a child of cid's git here.
pub(super) fn measure(sandbox: &Sandbox) -> Result<Vec<f64>> {
    // The base branch is seen for the first time, and built.
    look(sandbox)?;
    rest(sandbox)?;
    let daemon = sandbox.pid().context("the daemon does not run")?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        quiet_disk();
        let before = spent(daemon)?;
        for _ in 0..LOOKS {
            ensure!(look(sandbox)? == 0, "something was new at the remote");
        }
        samples.push((spent(daemon)? - before) / f64::from(LOOKS));
    }
    Ok(samples)
}

/// Waits until no job is at work.
pub(super) fn rest(sandbox: &Sandbox) -> Result<()> {
    wait_until("all jobs to end", LIMIT, || {
        let jobs = sandbox.json(&["jobs", "list"]).ok()?;
        let has_ended = |job: &serde_json::Value| {
            let state = job["state"].as_str().unwrap_or_default();
            ["done", "undone", "cancelled"].contains(&state)
        };
        jobs.as_array()?.iter().all(has_ended).then_some(())
    })
}

/// How many branches were new.
fn look(sandbox: &Sandbox) -> Result<usize> {
    let found = sandbox.json(&["project", "fetch", PROJECT])?;
    Ok(found.as_array().context("not a list of branches")?.len())
}

/// Each at a commit of its own, and packed as a server's `git gc` leaves them.
fn add_branches(bare: &Path) -> Result<()> {
    let mut text = String::new();
    for number in 0..BRANCHES {
        let name = format!("feature-{number}");
        write!(
            text,
            "commit refs/heads/{name}\ncommitter Test <test@example.com> 1700000000 +0000\ndata 0\n\
             from refs/heads/main^0\nM 100644 inline branch.txt\ndata {}\n{name}\n",
            name.len()
        )?;
    }
    let mut import = Command::new("git")
        .arg("-C")
        .arg(bare)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start git")?;
    let mut input = import.stdin.take().context("git has no input")?;
    let written = input.write_all(text.as_bytes());
    drop(input);
    ensure!(import.wait()?.success(), "git cannot make the branches");
    written?;
    git(bare, &["pack-refs", "--all"])?.ok().map(drop)
}

/// Processor seconds of the daemon, of its descendants that run, and of all that ended and were waited for. The kernel
/// adds a process to its parent's account when it is waited for, with all that it waited for itself, so nothing that
/// a look starts is missed; `supervisord` and nginx are in it, and idle.
fn spent(daemon: i32) -> Result<f64> {
    let all: HashMap<i32, Account> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, Account::of(&stat)?))
        })
        .collect();
    ensure!(all.contains_key(&daemon), "the daemon ended");
    let mut ours = HashSet::from([daemon]);
    loop {
        let children = all.iter().filter(|(_, one)| ours.contains(&one.parent));
        let children: Vec<i32> = children.map(|(pid, _)| *pid).collect();
        let before = ours.len();
        ours.extend(children);
        if ours.len() == before {
            break;
        }
    }
    let ticks = ours.iter().filter_map(|pid| all.get(pid));
    Ok(ticks.map(|one| one.ticks).sum::<f64>() / TICKS)
}

/// What `/proc/PID/stat` tells.
struct Account {
    parent: i32,
    /// Its own, and of its children that were waited for.
    ticks: f64,
}

impl Account {
    fn of(stat: &str) -> Option<Self> {
        // The name stands in parentheses and may hold anything, parentheses too.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<f64>());
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            ticks: ticks.sum::<Result<f64, _>>().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_holds_what_was_waited_for() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194560 100 2000 0 0 11 22 33 44 20 0 1 0 500";
        let account = Account::of(stat).unwrap();
        assert_eq!(account.parent, 3);
        assert!((account.ticks - 110.0).abs() < 1e-9);
        assert!(Account::of("7 (a) S 3").is_none());
    }
}
