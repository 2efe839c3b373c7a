//! Mounts on this machine.

use crate::wait::wait_until;
use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, umount2},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const UNMOUNT_LIMIT: Duration = Duration::from_secs(10);

/// Mounts these layers, of which the first is the topmost, at `root`; writes go to `upper`.
pub(super) fn overlay(
    layers: impl Iterator<Item = PathBuf>,
    upper: &Path,
    work: &Path,
    root: &Path,
) -> Result<()> {
    let layers: Vec<String> = layers.map(|layer| layer.display().to_string()).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        layers.join(":"),
        upper.display(),
        work.display()
    );
    mount("overlay", root, &options)
}

/// Mounts a file system that has no device.
pub(super) fn mount(kind: &str, at: &Path, options: &str) -> Result<()> {
    let options = Some(options);
    nix::mount::mount(Some(kind), at, Some(kind), MsFlags::empty(), options)
        .with_context(|| format!("cannot mount {kind} at {}", at.display()))
}

/// Unmounts what is mounted there, if anything is.
pub(super) fn unmount(at: &Path) -> Result<()> {
    let what = format!("{} to be unmounted", at.display());
    let unmounted = wait_until(&what, UNMOUNT_LIMIT, || {
        match umount2(at, MntFlags::empty()) {
            // For a moment after the last process.
            Err(Errno::EBUSY) => None,
            ended => Some(ended),
        }
    })?;
    match unmounted {
        // No mount, or no folder.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot unmount {}", at.display())),
    }
}
