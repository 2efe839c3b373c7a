//! Folders that are built once, then only read, by any number of processes.

use super::dir;
use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const UNUSED: Duration = Duration::from_secs(24 * 3600);
const BUILDING: &str = "building";

/// A finished folder, which is not removed while this lives.
#[derive(Debug)]
pub(super) struct Stored {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Stored {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the folder of this name. If there is none yet, `build` fills one at another path, which is
/// renamed when it is complete; meanwhile others wait.
pub(super) fn take(name: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<Stored> {
    let dir = dir();
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let dir = dir.canonicalize()?;
    let path = dir.join(name);
    let lock = lock(&dir, name, FlockArg::LockShared)?;
    if path.exists() {
        return Ok(Stored { path, _lock: lock });
    }
    // Not converted: two that hold it shared would wait for each other.
    drop(lock);
    let lock = self::lock(&dir, name, FlockArg::LockExclusive)?;
    if !path.exists() {
        remove_unused(&dir, name)?;
        let new = dir.join(format!("{name}.{BUILDING}"));
        if new.exists() {
            fs::remove_dir_all(&new).with_context(|| format!("cannot remove {}", new.display()))?;
        }
        build(&new)?;
        fs::rename(&new, &path)?;
    }
    lock.relock(FlockArg::LockShared)?;
    Ok(Stored { path, _lock: lock })
}

fn lock(dir: &Path, name: &str, how: FlockArg) -> Result<Flock<File>> {
    let path = dir.join(format!("{name}.lock"));
    let cannot = || format!("cannot lock {}", path.display());
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(cannot)?;
    let lock = Flock::lock(file, how)
        .map_err(|(_, error)| error)
        .with_context(cannot)?;
    lock.set_modified(SystemTime::now())?;
    Ok(lock)
}

/// The lock files stay: a removed one could be held by a process that has just opened it.
fn remove_unused(dir: &Path, but: &str) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default();
        let is_lock = path
            .extension()
            .is_some_and(|extension| extension == "lock");
        if !is_lock || name == but {
            continue;
        }
        let file = File::options().append(true).open(&path)?;
        let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
        if age < UNUSED {
            continue;
        }
        let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            continue;
        };
        let folder = dir.join(name);
        for folder in [folder.clone(), folder.with_extension(BUILDING)] {
            if folder.exists() {
                fs::remove_dir_all(&folder)
                    .with_context(|| format!("cannot remove {}", folder.display()))?;
            }
        }
    }
    Ok(())
}
