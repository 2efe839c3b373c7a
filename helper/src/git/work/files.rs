//! What `git status` would show of a checkout, and what it would not: entries that are marked as
//! unchanged, and submodules whatever their `ignore` says.

use crate::git::work::{
    find::Checkout,
    made::{Made, Verdict},
    open, sizes, submodules,
};
use git2::{IndexEntryExtendedFlag, ObjectType, Oid, Repository, Status, StatusOptions};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsStr,
    fs,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

/// Flag of an index entry: assume unchanged.
const ASSUME_UNCHANGED: u16 = 0x8000;
const GITLINK: u32 = 0o160_000;
const EXECUTABLE: u32 = 0o100_755;
/// What stands for a file of Git LFS is shorter, and begins so.
const LFS_POINTER: usize = 1024;
const LFS_MARK: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What a checkout's files are.
#[derive(Default)]
pub(super) struct Files {
    /// For people: changed and untracked paths.
    pub(super) uncommitted: Vec<String>,
    /// Work in folders that cid copied, and git does not keep: a delete loses it, and nothing else is in its way.
    pub(super) copied: Vec<String>,
    /// Files and folders that git does not keep and that do not count as work.
    pub(super) left: Vec<PathBuf>,
}

/// A path that is not as it was committed.
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) status: Status,
}

impl Entry {
    pub(super) fn is_ignored(&self) -> bool {
        self.status.contains(Status::IGNORED)
    }

    /// git does not know it.
    pub(super) fn is_new(&self) -> bool {
        self.is_ignored() || self.is_untracked()
    }

    fn is_untracked(&self) -> bool {
        self.status == Status::WT_NEW
    }

    fn is_deleted(&self) -> bool {
        let gone = Status::WT_DELETED | Status::INDEX_DELETED;
        self.status.intersects(gone) && !self.status.intersects(Status::WT_NEW)
    }

    /// Only the file differs, not what would be committed.
    fn is_of_the_file_alone(&self) -> bool {
        let file = Status::WT_MODIFIED | Status::WT_DELETED | Status::WT_TYPECHANGE;
        self.status.intersects(file) && (self.status - file).is_empty()
    }
}

/// Looks at a checkout's files; `checkouts` are the folders of all of them.
pub(super) fn look(
    checkout: &Checkout,
    workdir: &Path,
    checkouts: &HashSet<PathBuf>,
    made: &Made,
) -> Result<Files, git2::Error> {
    let repository = open::open(&checkout.gitdir, Some(workdir))?;
    let mut files = Files::default();
    files.uncommitted.extend(under_way(&repository));
    files
        .uncommitted
        .extend(submodules::changes(&repository, workdir)?);
    let judged = judge(&repository, workdir, checkouts, made)?;
    files
        .uncommitted
        .extend(grouped(&repository, &judged.work, &judged.made)?);
    (files.copied, files.left) = (judged.copied, judged.left);
    Ok(files)
}

/// Changes of a clone's files that a person made.
pub(super) fn work(
    repository: &Repository,
    workdir: &Path,
    checkouts: &HashSet<PathBuf>,
    made: &Made,
) -> Result<Vec<Entry>, git2::Error> {
    Ok(judge(repository, workdir, checkouts, made)?.work)
}

/// Whose the changes are.
#[derive(Default)]
struct Judged {
    work: Vec<Entry>,
    copied: Vec<String>,
    made: Vec<PathBuf>,
    left: Vec<PathBuf>,
}

fn judge(
    repository: &Repository,
    workdir: &Path,
    checkouts: &HashSet<PathBuf>,
    made: &Made,
) -> Result<Judged, git2::Error> {
    let mut judged = Judged::default();
    for entry in entries(repository, workdir)? {
        let path = workdir.join(&entry.path);
        if entry.is_ignored() || entry.is_untracked() {
            // It is looked at by itself.
            if checkouts.contains(&path) {
                continue;
            }
            if let Some(inside) = made.inside(&path).filter(|_| entry.is_ignored()) {
                judged.look_inside(inside, workdir, made);
                continue;
            }
            let verdict = match entry.is_ignored() {
                true if sizes::is_made_again(&path) => Verdict::Made,
                false if sizes::is_bytecode(&path) => Verdict::Made,
                _ => made.judge(&path),
            };
            match verdict {
                Verdict::Made => judged.made.push(entry.path),
                Verdict::Changed => judged.work.push(entry),
                Verdict::Other if !entry.is_ignored() && made.is_somebodys_new(&path) => {
                    judged.work.push(entry);
                }
                Verdict::Grown | Verdict::Other => judged.left.push(path),
            }
        } else if !(entry.is_of_the_file_alone() && made.has_changed(&path)) {
            judged.work.push(entry);
        }
    }
    Ok(judged)
}

impl Judged {
    /// Looks at the files of a folder that cid copied.
    fn look_inside(&mut self, inside: Vec<PathBuf>, workdir: &Path, made: &Made) {
        for path in inside {
            let is_work = match made.judge(&path) {
                Verdict::Made => continue,
                Verdict::Grown => false,
                Verdict::Changed => true,
                Verdict::Other => made.is_somebodys_copy(&path),
            };
            match path.strip_prefix(workdir) {
                Ok(relative) if is_work => {
                    self.copied.push(relative.to_string_lossy().into_owned());
                }
                _ => self.left.push(path),
            }
        }
    }
}

/// All paths that are not as they were committed, also ignored ones; a folder that is ignored as a whole
/// is one. Submodules are left out.
pub(super) fn entries(repository: &Repository, workdir: &Path) -> Result<Vec<Entry>, git2::Error> {
    // In memory alone: what git was told not to look at is looked at.
    let mut index = repository.index()?;
    let mut sparse = HashSet::new();
    for mut entry in index.iter().collect::<Vec<_>>() {
        let skipped = IndexEntryExtendedFlag::SKIP_WORKTREE.bits();
        // Left out by a sparse checkout.
        let is_sparse = entry.flags_extended & skipped != 0
            && fs::symlink_metadata(workdir.join(OsStr::from_bytes(&entry.path))).is_err();
        if is_sparse {
            sparse.insert(path_of(&entry));
        }
        let is_hidden = entry.flags & ASSUME_UNCHANGED != 0 || entry.flags_extended & skipped != 0;
        if is_hidden && !is_sparse {
            entry.flags &= !ASSUME_UNCHANGED;
            entry.flags_extended &= !skipped;
            index.add(&entry)?;
        }
    }
    let mut options = StatusOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .include_ignored(true)
        .exclude_submodules(true)
        .update_index(false)
        .no_refresh(true);
    let statuses = repository.statuses(Some(&mut options))?;
    let mut found = Vec::new();
    for status in statuses.iter() {
        let bytes = status.path_bytes();
        let path = Path::new(OsStr::from_bytes(bytes.strip_suffix(b"/").unwrap_or(bytes)));
        let entry = Entry {
            path: path.to_owned(),
            status: status.status(),
        };
        let is_kept = || {
            let kept = index.get_path(path, 0);
            kept.is_some_and(|kept| is_same(repository, &kept, &workdir.join(path)))
        };
        let is_same = entry.is_of_the_file_alone() && (sparse.contains(path) || is_kept());
        if !is_same {
            found.push(entry);
        }
    }
    let untold = untold(&index, workdir, &found);
    found.extend(untold);
    Ok(found)
}

/// What lies in the tree and libgit2 passes over: a file beside tracked ones that a rule such as `*` ignores with all
/// around it.
fn untold(index: &git2::Index, workdir: &Path, found: &[Entry]) -> Vec<Entry> {
    let tracked = index.iter().map(|entry| path_of(&entry));
    let mut known: HashSet<PathBuf> = tracked.collect();
    let mut folders: Vec<PathBuf> = vec![PathBuf::new()];
    let mut ancestors: HashSet<PathBuf> = HashSet::new();
    for path in known.iter().chain(found.iter().map(|entry| &entry.path)) {
        for folder in path.ancestors().skip(1) {
            if !ancestors.insert(folder.to_owned()) {
                break;
            }
            folders.push(folder.to_owned());
        }
    }
    known.extend(found.iter().map(|entry| entry.path.clone()));
    let mut untold = BTreeSet::new();
    for folder in folders {
        for path in sizes::children(&workdir.join(&folder)) {
            let Ok(relative) = path.strip_prefix(workdir) else {
                continue;
            };
            let is_repository = relative.file_name() == Some(OsStr::new(".git"));
            let is_known = known.contains(relative) || ancestors.contains(relative);
            if !is_repository && !is_known && sizes::holds_files(&path) {
                untold.insert(relative.to_owned());
            }
        }
    }
    let entries = untold.into_iter().map(|path| Entry {
        path,
        status: Status::IGNORED,
    });
    entries.collect()
}

fn path_of(entry: &git2::IndexEntry) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&entry.path))
}

/// Whether a file is what was committed after all: filters that libgit2 has not, or applies otherwise,
/// would have a fresh clone look changed.
pub(super) fn is_same(repository: &Repository, kept: &git2::IndexEntry, path: &Path) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return false;
    };
    let is_executable = meta.permissions().mode() & 0o100 != 0;
    if !meta.is_file() || is_executable != (kept.mode == EXECUTABLE) {
        return false;
    }
    Oid::hash_file(ObjectType::Blob, path).is_ok_and(|id| id == kept.id)
        || repository
            .find_blob(kept.id)
            .is_ok_and(|blob| is_of_lfs(blob.content(), path))
}

/// Whether a file is the one that a pointer of Git LFS stands for.
fn is_of_lfs(pointer: &[u8], path: &Path) -> bool {
    if pointer.len() > LFS_POINTER || !pointer.starts_with(LFS_MARK) {
        return false;
    }
    let text = String::from_utf8_lossy(pointer);
    let wanted = text
        .lines()
        .find_map(|line| line.strip_prefix("oid sha256:"));
    let hash = || {
        let (mut file, mut hash) = (fs::File::open(path).ok()?, Sha256::new());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer).ok()? {
                0 => return Some(data_encoding::HEXLOWER.encode(&hash.finalize())),
                read => hash.update(&buffer[..read]),
            }
        }
    };
    wanted.is_some() && hash().as_deref() == wanted
}

/// A merge and the like that waits to be ended.
fn under_way(repository: &Repository) -> Option<String> {
    use git2::RepositoryState as State;
    let what = match repository.state() {
        State::Clean | State::Bisect => return None,
        State::Merge => "a merge",
        State::Revert | State::RevertSequence => "a revert",
        State::CherryPick | State::CherryPickSequence => "a cherry-pick",
        State::Rebase | State::RebaseInteractive | State::RebaseMerge => "a rebase",
        State::ApplyMailbox | State::ApplyMailboxOrRebase => "the applying of patches",
    };
    Some(format!("({what} is under way)"))
}

/// Paths as people want to read them: a folder that is new as a whole is one line.
fn grouped(
    repository: &Repository,
    work: &[Entry],
    made: &[PathBuf],
) -> Result<BTreeSet<String>, git2::Error> {
    let mut tracked = HashSet::new();
    for entry in repository.index()?.iter() {
        let path = Path::new(OsStr::from_bytes(&entry.path));
        for parent in path.ancestors().skip(1) {
            if !tracked.insert(parent.to_owned()) {
                break;
            }
        }
    }
    tracked.insert(PathBuf::new());
    let top = |path: &Path| {
        let folders: Vec<&Path> = path.ancestors().skip(1).collect();
        let new = folders.into_iter().rev().find(|f| !tracked.contains(*f));
        new.map(Path::to_owned)
    };
    let mixed: HashSet<PathBuf> = made.iter().filter_map(|path| top(path)).collect();
    let shown = |entry: &Entry| {
        let folder = entry.is_untracked().then(|| top(&entry.path)).flatten();
        match folder.filter(|folder| !mixed.contains(folder)) {
            Some(folder) => format!("{}/", folder.to_string_lossy()),
            None if entry.is_deleted() => format!("{} (deleted)", entry.path.to_string_lossy()),
            None => entry.path.to_string_lossy().into_owned(),
        }
    };
    Ok(work.iter().map(shown).collect())
}

/// Whether an index entry is a submodule.
pub(super) fn is_gitlink(entry: &git2::IndexEntry) -> bool {
    entry.mode == GITLINK
}
