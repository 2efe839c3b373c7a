//! Ends a checkout that stopped in the middle: what it may have touched goes to one of its two commits.

use crate::git::work::files;
use git2::{ErrorCode, ObjectType, Oid, Repository, Tree, TreeEntry, build::CheckoutBuilder};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt,
        fs::{OpenOptionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

const LINK: i32 = 0o120_000;
const PROGRAM: i32 = 0o100_755;

/// Moves the files that differ between two commits, and the index, to `target`, one of the two. A file that holds
/// neither commit's text nor a part of it is a person's by now, and stays.
///
/// # Errors
/// A file or the index cannot be written; it may be called again.
pub(super) fn settle(
    repository: &Repository,
    workdir: &Path,
    between: (Oid, Oid),
    target: Oid,
) -> Result<(), git2::Error> {
    let tree = |id| repository.find_commit(id).and_then(|commit| commit.tree());
    let sides = [tree(between.0)?, tree(between.1)?];
    let wanted = tree(target)?;
    let paths = changed(repository, &sides)?;
    let place = Places {
        repository,
        workdir,
    };
    let mut own = BTreeMap::new();
    for path in &paths {
        if place.is_of_checkout(path, &sides) {
            own.insert(path, at(&wanted, path)?);
        }
    }
    for (path, _) in own.iter().filter(|(_, entry)| entry.is_none()) {
        place.remove(path).map_err(|error| failed(&error))?;
    }
    let mut options = CheckoutBuilder::new();
    options.force().disable_pathspec_match(true);
    let mut files = Vec::new();
    for (path, entry) in own {
        // A submodule's folder is not cid's to fill, and what it holds not cid's to remove.
        let Some(entry) = entry.filter(|entry| entry.kind() == Some(ObjectType::Blob)) else {
            continue;
        };
        if place.is_free_for(path) {
            options.path(path);
            files.push((path, entry));
        }
    }
    if !files.is_empty() {
        let commit = repository.find_commit(target)?;
        repository.checkout_tree(commit.as_object(), Some(&mut options))?;
    }
    for (path, entry) in files {
        place.write_missing(path, &entry)?;
    }
    let mut index = repository.index()?;
    index.read(true)?;
    for path in &paths {
        let Some(entry) = at(&wanted, path)? else {
            if index.get_path(path, 0).is_some() {
                index.remove_path(path)?;
            }
            continue;
        };
        let mode = u32::try_from(entry.filemode()).unwrap_or_default();
        let is_there = index
            .get_path(path, 0)
            .is_some_and(|kept| (kept.id, kept.mode) == (entry.id(), mode));
        if !is_there {
            index.add(&super::update::index_entry(path, mode, entry.id()))?;
        }
    }
    index.write()
}

/// Paths of files and submodules that differ.
fn changed(
    repository: &Repository,
    sides: &[Tree<'_>; 2],
) -> Result<BTreeSet<PathBuf>, git2::Error> {
    let diff = repository.diff_tree_to_tree(Some(&sides[0]), Some(&sides[1]), None)?;
    let files = diff.deltas().flat_map(|delta| {
        [delta.old_file(), delta.new_file()].map(|file| file.path_bytes().map(<[u8]>::to_vec))
    });
    Ok(files
        .flatten()
        .map(|path| PathBuf::from(OsStr::from_bytes(&path)))
        .collect())
}

/// What a tree has at a path; a folder is nothing.
fn at(tree: &Tree<'_>, path: &Path) -> Result<Option<TreeEntry<'static>>, git2::Error> {
    match tree.get_path(path) {
        Ok(entry) => Ok(Some(entry).filter(|entry| entry.kind() != Some(ObjectType::Tree))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(error: &io::Error) -> git2::Error {
    git2::Error::from_str(&error.to_string())
}

struct Places<'a> {
    repository: &'a Repository,
    workdir: &'a Path,
}

impl Places<'_> {
    /// Whether what is there was left by a checkout between the two sides, or is missing.
    fn is_of_checkout(&self, path: &Path, sides: &[Tree<'_>; 2]) -> bool {
        let place = self.workdir.join(path);
        let Ok(meta) = fs::symlink_metadata(&place) else {
            return true;
        };
        let text = match (meta.is_symlink(), meta.is_file()) {
            (true, _) => fs::read_link(&place).map(|to| to.as_os_str().as_bytes().to_owned()),
            (_, true) => fs::read(&place),
            // A folder is judged by what is in it.
            _ => return meta.is_dir(),
        };
        let Ok(text) = text else { return false };
        let entries = sides
            .iter()
            .filter_map(|side| at(side, path).ok().flatten());
        let mut blobs = entries.filter(|entry| entry.kind() == Some(ObjectType::Blob));
        blobs.any(|entry| self.is_part_of(&entry, path, &text))
    }

    fn is_part_of(&self, entry: &TreeEntry<'_>, path: &Path, text: &[u8]) -> bool {
        let mode = u32::try_from(entry.filemode()).unwrap_or_default();
        let kept = super::update::index_entry(path, mode, entry.id());
        if files::is_same(self.repository, &kept, &self.workdir.join(path)) {
            return true;
        }
        let Ok(blob) = self.repository.find_blob(entry.id()) else {
            return false;
        };
        // A checkout may write other ends of lines than the blob has.
        let plain = || {
            let ends = text.windows(2).map(|pair| pair == b"\r\n");
            let bytes = text.iter().zip(ends.chain([text.ends_with(b"\r")]));
            let kept = bytes.filter(|(_, is_end)| !is_end).map(|(byte, _)| *byte);
            kept.collect::<Vec<u8>>()
        };
        blob.content().starts_with(text) || blob.content().starts_with(&plain())
    }

    /// Writes what libgit2 leaves out: a file in the place of a submodule whose folder is not there.
    fn write_missing(&self, path: &Path, entry: &TreeEntry<'_>) -> Result<(), git2::Error> {
        let place = self.workdir.join(path);
        if fs::symlink_metadata(&place).is_ok() || !self.is_inside_folders(path) {
            return Ok(());
        }
        let blob = self.repository.find_blob(entry.id())?;
        let written = match entry.filemode() {
            LINK => symlink(OsStr::from_bytes(blob.content()), &place),
            mode => OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(if mode == PROGRAM { 0o777 } else { 0o666 })
                .open(&place)
                .and_then(|mut file| file.write_all(blob.content())),
        };
        written.map_err(|error| failed(&error))
    }

    /// Removes a file, and the folders that it leaves empty.
    fn remove(&self, path: &Path) -> io::Result<()> {
        if !self.is_inside_folders(path) {
            return Ok(());
        }
        let place = self.workdir.join(path);
        match fs::symlink_metadata(&place) {
            Ok(meta) if !meta.is_dir() => fs::remove_file(&place)?,
            _ => return Ok(()),
        }
        for folder in path
            .ancestors()
            .skip(1)
            .filter(|path| *path != Path::new(""))
        {
            if fs::remove_dir(self.workdir.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Whether a file can be written there without anything else giving way.
    fn is_free_for(&self, path: &Path) -> bool {
        let place = self.workdir.join(path);
        let is_folder = fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_dir());
        self.is_inside_folders(path) && (!is_folder || fs::remove_dir(&place).is_ok())
    }

    /// Whether all that leads to a path is real folders, as far as it is there.
    fn is_inside_folders(&self, path: &Path) -> bool {
        let mut folders = path.ancestors().skip(1).map(|path| self.workdir.join(path));
        folders.all(|folder| fs::symlink_metadata(folder).map_or(true, |meta| meta.is_dir()))
    }
}
