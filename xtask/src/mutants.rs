//! `cargo xtask mutants`: changes code in small ways, one at a time, and lists those changes that no test
//! sees.

use crate::build;
use anyhow::{Result, bail};
use std::{path::PathBuf, process::Stdio};

/// What `cargo xtask mutants` can be told.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files whose code is changed, as paths from the checkout's root
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// For cargo nextest, e.g. `--lib`, which leaves out what takes long
    #[arg(last = true)]
    tests: Vec<String>,
}

/// Works in a copy of the checkout. Fails where a change is not seen.
pub fn run(args: &Args) -> Result<()> {
    let installed = build::cargo()
        .args(["mutants", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !installed {
        bail!(
            "cannot change code: cargo-mutants is not installed; `cargo install --locked cargo-mutants` brings it"
        );
    }
    if let Some(file) = args
        .files
        .iter()
        .find(|file| !build::root().join(file).is_file())
    {
        bail!("cannot change {}: there is no such file", file.display());
    }
    let mut mutants = build::cargo();
    mutants.args(["mutants", "--test-tool", "nextest", "--output"]);
    mutants.arg(build::target_dir()?);
    for file in &args.files {
        mutants.arg("--file").arg(file);
    }
    build::check(mutants.arg("--").args(&args.tests))
}
