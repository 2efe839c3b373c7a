//! The bare mirror: one per project, holding the remote's branches.

use crate::system::fault::{Fault, FaultContext};
use git2::{Repository, RepositoryInitOptions};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Opens it.
pub(in crate::helper) fn open(mirror: &Path) -> Result<Repository, Fault> {
    Repository::open_bare(mirror).map_err(|error| {
        Fault::io("open the mirror", mirror, error.message()).hint(format!(
            "cid fetches it anew when {} is moved away",
            mirror.display()
        ))
    })
}

/// Makes it if it is missing, and clears away what a killed fetch left in it. Only while nobody
/// else fetches into it.
pub(super) fn prepare(mirror: &Path, base: &str) -> Result<(), Fault> {
    match fs::symlink_metadata(mirror) {
        Ok(_) => remove_leftovers(mirror).map_err(|error| Fault::io("tidy up", mirror, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(mirror, base),
        Err(error) => Err(Fault::io("look at", mirror, error)),
    }
}

/// Made beside its place and renamed, so that it is there whole or not at all.
fn create(mirror: &Path, base: &str) -> Result<(), Fault> {
    let new = beside(mirror);
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Fault::io("remove", &new, error));
        }
        _ => {}
    }
    if let Some(parent) = mirror.parent() {
        fs::create_dir_all(parent).map_err(|error| Fault::io("make", parent, error))?;
    }
    let mut options = RepositoryInitOptions::new();
    options
        .bare(true)
        .no_reinit(true)
        .external_template(false)
        .initial_head(base);
    let configure = |repository: Repository| -> Result<(), git2::Error> {
        let mut config = repository.config()?;
        // Clones share its objects: nothing may ever be collected.
        config.set_i32("gc.auto", 0)?;
        config.set_str("gc.pruneExpire", "never")?;
        config.set_bool("core.logAllRefUpdates", false)
    };
    Repository::init_opts(&new, &options)
        .and_then(configure)
        .map_err(|error| Fault::io("make the mirror", mirror, error.message()))?;
    fs::rename(&new, mirror).cannot(format!("make the mirror {}", mirror.display()))
}

fn beside(mirror: &Path) -> PathBuf {
    let mut name = mirror.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Locks and half-written packs. No branch can be called `*.lock`.
fn remove_leftovers(mirror: &Path) -> io::Result<()> {
    for folder in [
        mirror.to_owned(),
        mirror.join("objects/info"),
        mirror.join("objects/pack"),
    ] {
        for entry in entries(&folder)? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if entry.file_type()?.is_file() && (name.ends_with(".lock") || name.starts_with("tmp_"))
            {
                fs::remove_file(entry.path())?;
            }
        }
    }
    let mut folders = vec![mirror.join("refs")];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().ends_with(".lock") {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_and_loses_leftovers_only() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = dir.path().join("a/b.git");
        prepare(&mirror, "main").unwrap();
        open(&mirror).unwrap();
        let leftovers = [
            "packed-refs.lock",
            "refs/heads/x.lock",
            "objects/pack/tmp_pack_1",
        ];
        for file in leftovers {
            fs::write(mirror.join(file), "").unwrap();
        }
        fs::write(mirror.join("objects/pack/pack-1.keep"), "").unwrap();
        prepare(&mirror, "main").unwrap();
        for file in leftovers {
            assert!(!mirror.join(file).exists(), "{file}");
        }
        assert!(mirror.join("objects/pack/pack-1.keep").exists());
        assert_eq!(
            fs::read_to_string(mirror.join("HEAD")).unwrap().trim(),
            "ref: refs/heads/main"
        );
    }
}
