//! What one host writes, and the mount it sees it through.

use super::{cgroup::Group, dir, mounts};
use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Where a host's writes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// Quick, and quicker to remove.
    Memory,
    /// To be kept.
    Disk,
}

/// A host's folder. It is locked while its owner lives, so that the next host's owner can tell what
/// a killed one left, and remove it.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: PathBuf,
    name: String,
    _lock: Flock<File>,
}

impl Scratch {
    /// Makes a folder and mounts an empty layer over these, of which the first is the topmost.
    pub(super) fn make(layers: impl Iterator<Item = PathBuf>, storage: Storage) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let runs = dir().join("runs");
        fs::create_dir_all(&runs).with_context(|| format!("cannot make {}", runs.display()))?;
        let runs = runs.canonicalize()?;
        // Between the making of a folder and of its lock it must not look like a left one.
        let _turn = lock(&runs.join("lock"), FlockArg::LockExclusive)?;
        remove_left(&runs)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cid-host-{}-{count}", process::id());
        let dir = runs.join(&name);
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let lock = lock(&dir.join("lock"), FlockArg::LockExclusiveNonblock)?;
        let scratch = Self {
            dir,
            name,
            _lock: lock,
        };
        let mounted = scratch.mount(layers, storage);
        if mounted.is_err() {
            scratch.remove()?;
        }
        mounted.map(|()| scratch)
    }

    fn mount(&self, layers: impl Iterator<Item = PathBuf>, storage: Storage) -> Result<()> {
        let written = written(&self.dir);
        fs::create_dir(&written)?;
        if storage == Storage::Memory {
            mounts::mount("tmpfs", &written, "mode=755")?;
        }
        for dir in [self.upper(), self.work(), self.root()] {
            fs::create_dir(&dir)?;
            // The host's own root folder gets the mode of the upper one.
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        }
        mounts::overlay(layers, &self.upper(), &self.work(), &self.root())
    }

    /// So that what it wrote can be taken.
    pub(super) fn unmount(&self) -> Result<()> {
        mounts::unmount(&self.root())
    }

    /// Unmounts and removes everything. The host has ended.
    pub(super) fn remove(&self) -> Result<()> {
        remove(&self.dir, &self.name)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the host's whole file system is mounted.
    pub(super) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// What it has written.
    pub(super) fn upper(&self) -> PathBuf {
        written(&self.dir).join("upper")
    }

    fn work(&self) -> PathBuf {
        written(&self.dir).join("work")
    }

    pub(super) fn console_path(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    pub(super) fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.console_path()).unwrap_or_default()).into_owned()
    }

    /// Where it stands which control groups are the host's.
    pub(super) fn groups_path(&self) -> PathBuf {
        groups_path(&self.dir)
    }
}

fn written(dir: &Path) -> PathBuf {
    dir.join("written")
}

fn groups_path(dir: &Path) -> PathBuf {
    dir.join("groups")
}

/// Ends and removes the hosts whose owners are gone.
fn remove_left(runs: &Path) -> Result<()> {
    for entry in fs::read_dir(runs)? {
        let entry = entry?;
        let path = entry.path();
        if !path.is_dir() {
            continue;
        }
        let Ok(_lock) = lock(&path.join("lock"), FlockArg::LockExclusiveNonblock) else {
            continue;
        };
        eprintln!("removing what is left of the host in {}", path.display());
        remove(&path, &entry.file_name().to_string_lossy())?;
    }
    Ok(())
}

fn remove(dir: &Path, name: &str) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    Group::recorded(&groups_path(dir))?.kill_and_remove()?;
    mounts::unmount(&dir.join("root"))?;
    mounts::unmount(&written(dir))?;
    // Of systemd-nspawn, when it was killed.
    let _ = fs::remove_dir(Path::new("/run/systemd/nspawn/propagate").join(name));
    fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
}

fn lock(path: &Path, how: FlockArg) -> Result<Flock<File>> {
    let file = File::options().create(true).append(true).open(path)?;
    Flock::lock(file, how)
        .map_err(|(_, error)| error)
        .with_context(|| format!("cannot lock {}", path.display()))
}
