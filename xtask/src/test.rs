//! `cargo xtask test`: every test there is, on a machine that may have nothing but Rust.

use crate::{build, setup};
use anyhow::Result;
use std::process::Stdio;

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
    let has_nextest = build::cargo()
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_nextest {
        return build::check(
            build::cargo()
                .args(["test", "--workspace", "--"])
                .args(&args.filter),
        );
    }
    build::check(
        build::cargo()
            .args(["nextest", "run", "--workspace"])
            .args(&args.filter),
    )?;
    // nextest leaves the examples in doc comments out.
    build::check(
        build::cargo()
            .args(["test", "--quiet", "--doc", "--workspace", "--"])
            .args(&args.filter),
    )
}
