//! `cargo xtask dist`: the Debian package.
//!
//! The tree is staged by hand and packed by `dpkg-deb`. cargo-deb would do the same, but each machine
//! would have to compile it first, and scripts, man pages and checks would be written by hand all the same.

mod control;
mod generate;
mod man;
mod roff;
mod stage;

use crate::{
    build::{self, Profile},
    setup,
};
use anyhow::{Context, Result};
use stage::Stage;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What `cargo xtask dist` can be told.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The package's version
    #[arg(long, value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"), value_parser = version)]
    deb_version: String,
    /// Pack programs that are quick to build instead of those to ship
    #[arg(long)]
    dev: bool,
}

/// What dpkg takes for a version, seen before anything is built.
fn version(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".+~-".contains(c);
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("not a version of a package: a digit, then letters, digits and . + ~ -".to_owned())
}

/// Builds the package and says where it is.
pub fn run(args: &Args) -> Result<()> {
    let profile = if args.dev {
        Profile::Dev
    } else {
        Profile::Release
    };
    let deb = build(profile, &args.deb_version)?;
    let size = fs::metadata(&deb)?.len();
    println!("{}  ({:.1} MB)", deb.display(), size as f64 / 1e6);
    Ok(())
}

/// Builds the programs and packs them.
pub fn build(profile: Profile, version: &str) -> Result<PathBuf> {
    let bins = build::programs(profile)?;
    pack(&bins, version)
}

/// Packs programs that were built.
pub fn pack(bins: &Path, version: &str) -> Result<PathBuf> {
    setup::ensure(setup::Purpose::Dist)?;
    println!("==> packing");
    let dist = build::target_dir()?.join("dist");
    let work = dist.join("work");
    if work.exists() {
        fs::remove_dir_all(&work).context("cannot remove the last stage")?;
    }
    let stage = Stage::new(&work.join("root"))?;
    stage.programs(bins)?;
    stage.files()?;
    generate::documents(&stage, bins, version)?;
    let architecture = control::write(&stage, &work, version)?;
    let deb = dist.join(format!("cid_{version}_{architecture}.deb"));
    build::check(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build", "-Zxz"])
            .arg(stage.root())
            .arg(&deb),
    )?;
    fs::remove_dir_all(&work)?;
    Ok(deb)
}
