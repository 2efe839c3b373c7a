//! The bare mirror: one per project, holding the remote's branches.

use crate::tree::purge;
use cid_protocol::fault::{Fault, FaultContext};
use git2::{Repository, RepositoryInitOptions};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Without this file there is no repository.
const LAST: &str = "HEAD";
/// So many branches may have a file each. All others are in one file, which a git process reads at once.
const LOOSE_REFS: usize = 32;

/// Opens it.
pub(crate) fn open(mirror: &Path) -> Result<Repository, Fault> {
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
        Ok(meta) if meta.is_dir() && !exists(&mirror.join(LAST)) => fill(mirror, base),
        Ok(_) => remove_leftovers(mirror).map_err(|error| Fault::io("tidy up", mirror, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(mirror, base),
        Err(error) => Err(Fault::io("look at", mirror, error)),
    }
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
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
    init(&new, base)?;
    fs::rename(&new, mirror).cannot(format!("make the mirror {}", mirror.display()))
}

/// The same where the folder waits, in a parent of somebody else's: its parts are put in their
/// places one by one, the one that makes it a repository last.
fn fill(mirror: &Path, base: &str) -> Result<(), Fault> {
    purge::make_empty(mirror)?;
    let new = mirror.join("cid-new");
    init(&new, base)?;
    let move_up = || {
        let mut entries = entries(&new)?;
        entries.sort_by_key(|entry| entry.file_name() == LAST);
        for entry in entries {
            fs::rename(entry.path(), mirror.join(entry.file_name()))?;
        }
        fs::remove_dir(&new)
    };
    move_up().cannot(format!("make the mirror {}", mirror.display()))
}

pub(super) fn init(path: &Path, base: &str) -> Result<(), Fault> {
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
    Repository::init_opts(path, &options)
        .and_then(configure)
        .map_err(|error| Fault::io("make the mirror", path, error.message()))
}

fn beside(mirror: &Path) -> PathBuf {
    let mut name = mirror.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Locks and half-written packs. No branch can be called `*.lock`, and none is kept beside `refs`.
pub(super) fn remove_leftovers(mirror: &Path) -> io::Result<()> {
    for folder in [
        mirror.to_owned(),
        mirror.join("objects/info"),
        mirror.join("objects/pack"),
    ] {
        for entry in entries(&folder)? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_left =
                name.ends_with(".lock") || name.starts_with("tmp_") || name == "packed-refs.new";
            if entry.file_type()?.is_file() && is_left {
                fs::remove_file(entry.path())?;
            }
        }
    }
    for file in loose_refs(mirror)? {
        if file.as_os_str().as_encoded_bytes().ends_with(b".lock") {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Whether so many branches have a file each that every git process that reads them all feels it.
pub(super) fn has_many_loose_refs(mirror: &Path) -> bool {
    loose_refs(mirror).is_ok_and(|files| files.len() > LOOSE_REFS)
}

/// Branches and tags with a file of their own, and the locks of such files.
fn loose_refs(mirror: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![mirror.join("refs")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    Ok(files)
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
    use crate::git::mirror::*;

    #[test]
    fn is_made_once_and_loses_leftovers_only() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = dir.path().join("a/b.git");
        prepare(&mirror, "main").unwrap();
        loses_leftovers_only(&mirror);
    }

    #[test]
    fn is_made_where_a_folder_waits() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = dir.path().join("b.git");
        fs::create_dir_all(mirror.join("cid-new/refs")).unwrap();
        prepare(&mirror, "main").unwrap();
        loses_leftovers_only(&mirror);
        assert!(!mirror.join("cid-new").exists());
        let config = open(&mirror).unwrap().config().unwrap();
        assert_eq!(config.get_i32("gc.auto").unwrap(), 0);
    }

    fn loses_leftovers_only(mirror: &Path) {
        open(mirror).unwrap();
        let leftovers = [
            "packed-refs.lock",
            "packed-refs.new",
            "refs/heads/x.lock",
            "objects/pack/tmp_pack_1",
        ];
        for file in leftovers {
            fs::write(mirror.join(file), "").unwrap();
        }
        fs::write(mirror.join("objects/pack/pack-1.keep"), "").unwrap();
        prepare(mirror, "main").unwrap();
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
