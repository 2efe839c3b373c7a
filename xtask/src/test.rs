//! `cargo xtask test`: every test there is, on a machine that may have nothing but Rust.

use crate::{build, dist, setup};
use anyhow::{Context, Result, anyhow};
use cid_testkit::{
    SKIPPED,
    host::{DEBIAN, Debian, HostImage, available},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
    thread,
};

/// The program whose tests each boot a Debian.
const HOST_TESTS: &str = "host";

/// What runs on each older Debian as well, by the beginnings of names: what is most a matter of the
/// versions of systemd, polkit, nginx, Python and the accounts' tools.
const ON_OLDER: &[&str] = &[
    "access::",
    "attacks::git",
    "attacks::sockets",
    "authorisation::",
    "doctor::",
    "half_made::",
    "kills::at_random_moments",
    "logins::",
    "sessions::",
    "shell::",
    "upgrade::",
    "workspaces::a_killed_daemon",
    "workspaces::a_workspace_has_an_identity",
    "workspaces::one_workspace_cannot_reach",
];

/// What `cargo xtask test` can be told.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only tests whose names hold one of these
    #[arg(last = true)]
    filter: Vec<String>,
}

/// Sets up what is missing, builds everything once and runs the tests.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure(setup::Purpose::Test)?;
    println!("==> building");
    // Programs and tests in one go, so that both are built with the same features.
    build::check(build::cargo().args(["build", "--workspace", "--all-targets"]))?;
    println!("==> testing");
    let skipped = available().err();
    if skipped.is_none() && args.filter.is_empty() {
        // Here it can be seen why that takes so long; a test would keep it to itself.
        build_images()?;
    }
    let deb = match skipped {
        None => {
            // As they were built just now.
            let bins = build::target_dir()?.join("debug");
            Some(dist::pack(&bins, env!("CARGO_PKG_VERSION"))?)
        }
        Some(_) => None,
    };
    let noted = build::target_dir()?.join("skipped");
    let _ = fs::remove_file(&noted);
    let mut tested = run_all(args, deb.as_deref(), &noted);
    if let Some(deb) = deb.filter(|_| args.filter.is_empty()) {
        tested = tested.and(run_on_older(&deb, &noted));
    }
    let lines = fs::read_to_string(&noted).unwrap_or_default();
    for (why, count) in reasons(&lines) {
        println!("==> {count} {} skipped: {why}", tests(count));
    }
    if let Some(why) = skipped.filter(|_| has_nextest()) {
        let count = count(args)?;
        let tests = tests(count);
        println!("==> {count} {tests} on a booted Debian skipped: {why}");
    }
    tested
}

/// Why tests did not run, and how many for each reason; from lines `TEST: WHY`, one of a test at least.
fn reasons(lines: &str) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    for line in lines.lines().collect::<BTreeSet<_>>() {
        let why = line.split_once(": ").map_or(line, |(_, why)| why);
        *reasons.entry(why).or_default() += 1;
    }
    reasons
}

fn tests(count: usize) -> &'static str {
    if count == 1 { "test" } else { "tests" }
}

/// Side by side: most of the time goes into waiting for the archive and the disk.
fn build_images() -> Result<()> {
    thread::scope(|scope| {
        let builds = Debian::ALL.map(|debian| scope.spawn(move || HostImage::of(debian)));
        for build in builds {
            build
                .join()
                .map_err(|_| anyhow!("a thread has panicked"))??;
        }
        Ok(())
    })
}

/// The chosen part of the tests on a host, on each Debian but the newest.
fn run_on_older(deb: &Path, noted: &Path) -> Result<()> {
    let older = Debian::ALL.into_iter().filter(|of| *of != Debian::newest());
    for debian in older {
        println!("==> testing on Debian {debian}");
        let mut tests = build::cargo();
        match has_nextest() {
            true => tests.args(["nextest", "run"]),
            false => tests.arg("test"),
        };
        tests.args(["--workspace", "--test", HOST_TESTS, "--"]);
        tests.args(ON_OLDER).env("CID_DEB", deb).env(SKIPPED, noted);
        build::check(tests.env(DEBIAN, debian.to_string()))?;
    }
    Ok(())
}

fn has_nextest() -> bool {
    build::cargo()
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// `deb` is the package that hosts get; without one the tests on a host are left out. Tests that do not
/// run here are written down in `noted`.
fn run_all(args: &Args, deb: Option<&Path>, noted: &Path) -> Result<()> {
    if !has_nextest() {
        // Here the tests on a host are run, and say that there is none.
        return build::check(
            build::cargo()
                .env(SKIPPED, noted)
                .args(["test", "--workspace", "--"])
                .args(&args.filter),
        );
    }
    let mut nextest = build::cargo();
    nextest
        .env(SKIPPED, noted)
        .args(["nextest", "run", "--workspace"]);
    match deb {
        Some(deb) => nextest.env("CID_DEB", deb),
        None => {
            let filter = format!("not (package(cid-testkit) & binary(={HOST_TESTS}))");
            nextest.args(["--filterset", &filter, "--no-tests=pass"])
        }
    };
    build::check(nextest.args(&args.filter))?;
    // nextest leaves the examples in doc comments out.
    build::check(
        build::cargo()
            .args(["test", "--quiet", "--doc", "--workspace", "--"])
            .args(&args.filter),
    )
}

/// How many tests on a host there are of those asked for.
fn count(args: &Args) -> Result<usize> {
    let listed = build::cargo()
        .args(["test", "--quiet", "--workspace", "--test", HOST_TESTS, "--"])
        .args(["--list", "--format=terse"])
        .args(&args.filter)
        .stderr(Stdio::null())
        .output()
        .context("cannot list the tests on a host")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(listed
        .lines()
        .filter(|line| line.ends_with(": test"))
        .count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_skipped_twice_counts_once_for_its_reason() {
        let lines = "a::b: this needs root\na::c: this needs: dbus\na::b: this needs root\na::d: this needs root\n";
        let reasons: Vec<_> = reasons(lines).into_iter().collect();
        assert_eq!(reasons, [("this needs root", 2), ("this needs: dbus", 1)]);
    }
}
