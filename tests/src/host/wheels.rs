//! What a host installs Python packages from: it has no network.

use super::Debian;
use crate::command::run;
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command, time::Duration};

/// Variables that tell pip and uv the same as the image's own configuration.
pub const OFFLINE: [(&str, &str); 5] = [
    ("PIP_NO_INDEX", "1"),
    ("PIP_FIND_LINKS", "/opt/wheels"),
    ("UV_NO_INDEX", "1"),
    ("UV_FIND_LINKS", "/opt/wheels"),
    ("UV_OFFLINE", "1"),
];
const PIP_CONF: &str = "[global]\nno-index = true\nfind-links = /opt/wheels\n";
const UV_TOML: &str = "offline = true\nno-index = true\nfind-links = [\"/opt/wheels\"]\n";
/// What an environment with pip begins with.
const SEED: &[&str] = &["pip", "setuptools", "wheel"];
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Puts the wheels of `requirements` into `/opt/wheels`, uv into `/usr/local/bin`, and tells both
/// tools so.
pub(super) fn bring(debian: Debian, root: &Path, requirements: &Path) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let venv = temporary.path().join("venv");
    run(
        Command::new("python3").args(["-m", "venv"]).arg(&venv),
        LIMIT,
    )?
    .ok()?;
    let pip = venv.join("bin/pip");
    let wheels = root.join("opt/wheels");
    let mut download = Command::new(&pip);
    download
        .args(["download", "--quiet", "--disable-pip-version-check"])
        .args(["--only-binary=:all:", "--python-version", debian.python])
        .arg("--dest")
        .arg(&wheels)
        .args(SEED)
        .arg("--requirement")
        .arg(requirements);
    run(&mut download, LIMIT)?.ok()?;
    let mut install = Command::new(&pip);
    install.args(["install", "--quiet", "--disable-pip-version-check", "uv"]);
    run(&mut install, LIMIT)?.ok()?;
    fs::copy(venv.join("bin/uv"), root.join("usr/local/bin/uv"))
        .context("cannot put uv into the image")?;
    fs::create_dir_all(root.join("etc/uv"))?;
    fs::write(root.join("etc/pip.conf"), PIP_CONF)?;
    fs::write(root.join("etc/uv/uv.toml"), UV_TOML)?;
    Ok(())
}
