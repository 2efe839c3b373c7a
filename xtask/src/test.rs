//! `cargo xtask test`: every test there is, on a machine that may have nothing but Rust.

use crate::{build, dist, setup};
use anyhow::{Context, Result};
use cid_testkit::host::{HostImage, Why, available};
use std::{path::Path, process::Stdio};

/// The program whose tests each boot a Debian.
const HOST_TESTS: &str = "host";

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
        HostImage::get()?;
    }
    let deb = match skipped {
        None => {
            // As they were built just now.
            let bins = build::target_dir()?.join("debug");
            Some(dist::pack(&bins, env!("CARGO_PKG_VERSION"))?)
        }
        Some(_) => None,
    };
    let tested = run_all(args, deb.as_deref());
    if let Some(why) = skipped {
        println!("==> {}", sentence(count(args)?, &why));
    }
    tested
}

/// `deb` is the package that hosts get; without one the tests on a host are left out.
fn run_all(args: &Args, deb: Option<&Path>) -> Result<()> {
    let has_nextest = build::cargo()
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_nextest {
        // Here the tests on a host are run, find that there is none, and do nothing.
        return build::check(
            build::cargo()
                .args(["test", "--workspace", "--"])
                .args(&args.filter),
        );
    }
    let mut nextest = build::cargo();
    nextest.args(["nextest", "run", "--workspace"]);
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

fn sentence(count: usize, why: &Why) -> String {
    let tests = if count == 1 { "test" } else { "tests" };
    format!("{count} {tests} on a booted Debian skipped: {why}")
}
