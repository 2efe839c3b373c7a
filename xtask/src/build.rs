//! cargo, called from within cargo.

use anyhow::{Context, Result, bail};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where cargo puts what it builds.
pub fn target_dir() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot tell which program this is")?;
    // TARGET/PROFILE/xtask
    program
        .ancestors()
        .nth(2)
        .map(PathBuf::from)
        .context("not in a target folder")
}

/// The same cargo that runs this.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command with the terminal, and takes only success for an answer.
pub fn check(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let status = command
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        let args: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect();
        bail!("`{program} {}` ended with {status}", args.join(" "));
    }
    Ok(())
}

/// How the programs are built.
#[derive(Clone, Copy, Debug)]
pub enum Profile {
    /// Quick to build.
    Dev,
    /// As they are shipped.
    Release,
}

/// Each package with the program that it makes.
pub const PROGRAMS: [(&str, &str); 4] = [
    ("cid", "cid"),
    ("cid-helper", "cid-helper"),
    ("cid-client", "cictl"),
    ("cid-web", "cid-web"),
];

/// Builds the programs and says where they are.
pub fn programs(profile: Profile) -> Result<PathBuf> {
    println!("==> building");
    let mut build = cargo();
    build.args(["build", "--bins"]);
    for (package, _) in PROGRAMS {
        build.args(["--package", package]);
    }
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            build.arg("--release");
            "release"
        }
    };
    check(&mut build)?;
    Ok(target_dir()?.join(folder))
}
