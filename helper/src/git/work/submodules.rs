//! Submodules, as the repository around them sees them.

use crate::git::work::{commits, files::is_gitlink, find::read, open};
use git2::{FileMode, Oid, Repository};
use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// How many commits are searched for those that they record of submodules.
const COMMITS: usize = 5_000;

/// Submodules that are not at the commit that was committed. What they hold themselves is looked at
/// apart.
pub(super) fn changes(repository: &Repository, workdir: &Path) -> Result<Vec<String>, git2::Error> {
    let head = repository
        .head()
        .ok()
        .and_then(|head| head.peel_to_tree().ok());
    let mut changes = Vec::new();
    for entry in repository.index()?.iter().filter(is_gitlink) {
        let relative = Path::new(OsStr::from_bytes(&entry.path));
        let name = relative.to_string_lossy();
        let committed = head
            .as_ref()
            .and_then(|tree| tree.get_path(relative).ok())
            .map(|kept| kept.id());
        let folder = workdir.join(relative);
        if committed != Some(entry.id) {
            changes.push(name.into_owned());
        } else if let Some(checked_out) = head_of(&folder) {
            if checked_out != entry.id {
                changes.push(format!("{name} (other commits)"));
            }
        } else if holds_files(&folder) {
            changes.push(format!("{name}/ (files where a submodule belongs)"));
        }
    }
    Ok(changes)
}

/// Submodules that go between two commits, or become something else.
pub(super) fn gone(
    repository: &Repository,
    from: Oid,
    to: Oid,
) -> Result<Vec<PathBuf>, git2::Error> {
    let tree = |id| repository.find_commit(id).and_then(|commit| commit.tree());
    let diff = repository.diff_tree_to_tree(Some(&tree(from)?), Some(&tree(to)?), None)?;
    let gone = diff.deltas().filter(|delta| {
        let is_link =
            [delta.old_file(), delta.new_file()].map(|file| file.mode() == FileMode::Commit);
        is_link == [true, false]
    });
    let paths =
        gone.filter_map(|delta| Some(OsStr::from_bytes(delta.old_file().path_bytes()?).into()));
    Ok(paths.collect())
}

/// Whether the folder of a submodule holds something; what cannot be read may.
pub(super) fn is_filled(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The commits of submodules that the commits of a remote record: they can be found through the remote.
pub(super) fn recorded(
    repository: &Repository,
    held: &HashSet<Oid>,
) -> Result<Vec<Oid>, git2::Error> {
    let paths = places(repository)?;
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let held: BTreeSet<Oid> = held
        .iter()
        .filter(|id| repository.find_commit(**id).is_ok())
        .copied()
        .collect();
    let mut found = BTreeSet::new();
    for id in commits::outside(repository, &held, &HashSet::new(), COMMITS)? {
        let tree = repository.find_commit(id)?.tree()?;
        found.extend(
            paths
                .iter()
                .filter_map(|path| tree.get_path(path).ok())
                .filter(|entry| entry.kind() == Some(git2::ObjectType::Commit))
                .map(|entry| entry.id()),
        );
    }
    Ok(found.into_iter().collect())
}

/// Where a repository has submodules, or had them.
fn places(repository: &Repository) -> Result<BTreeSet<PathBuf>, git2::Error> {
    let mut places: BTreeSet<PathBuf> = repository
        .index()?
        .iter()
        .filter(is_gitlink)
        .map(|entry| OsStr::from_bytes(&entry.path).into())
        .collect();
    // One that is not checked out now: it is mostly called by its place.
    let modules = fs::read_dir(repository.commondir().join("modules"));
    places.extend(
        modules
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| PathBuf::from(entry.file_name())),
    );
    Ok(places)
}

fn head_of(folder: &Path) -> Option<Oid> {
    let dot_git = folder.join(".git");
    let gitdir = match fs::symlink_metadata(&dot_git).ok()?.is_dir() {
        true => dot_git,
        false => folder.join(read(&dot_git)?.strip_prefix("gitdir:")?.trim()),
    };
    open::open(&gitdir, Some(folder))
        .ok()?
        .refname_to_id("HEAD")
        .ok()
}

fn holds_files(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
