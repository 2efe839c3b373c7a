//! Finds every repository in a workspace, also bare ones, linked worktrees and submodules, by a walk that follows no
//! link, crosses no mount, and says what it could not look at.

use crate::git::work::{open, sizes};
use cid_protocol::request::{HOME, OTHER_VENV, STATIC, TREE, VENV};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Instant,
};

/// How many files and folders are looked at.
const ENTRIES: usize = 2_000_000;
/// What cid makes in a workspace's folder.
const FOLDERS: &[&str] = &[TREE, HOME, "run", STATIC, "tmp", VENV, OTHER_VENV];
/// How deep below the root.
const DEPTH: usize = 512;
/// How many repositories are looked at.
const REPOSITORIES: usize = 200;
/// A longer file is not a `.git` file.
const POINTER: u64 = 8192;

/// Below `home`: what tools fetch again when it is gone. A clone in there is the tool's own.
const CACHES: &[&str] = &[
    ".cache",
    ".cargo/git",
    ".cargo/registry",
    ".gradle",
    ".local/share/pnpm",
    ".local/share/uv",
    ".m2",
    ".npm",
    ".rustup",
    "go/pkg",
];

/// Where other systems than git keep what is committed.
const OTHERS: &[&str] = &[".bzr", ".hg", ".pijul", ".svn", "_darcs"];

/// Repositories, and places that could not be looked at.
#[derive(Default)]
pub(super) struct Found {
    pub(super) checkouts: Vec<Checkout>,
    pub(super) unseen: Vec<String>,
}

/// A repository with its files, or without.
pub(super) struct Checkout {
    /// Relative to the workspace's folder.
    pub(super) shown: String,
    /// Its `.git`; of a linked worktree, the folder in the main one's.
    pub(super) gitdir: PathBuf,
    /// Where commits and branches are; a linked worktree shares it.
    pub(super) common: PathBuf,
    /// Its files; `None`: bare, or a submodule that is not checked out now.
    pub(super) workdir: Option<PathBuf>,
}

/// Files and folders beside those that cid makes: a sandbox's owner may put some there.
pub(super) fn beside(directory: &Path) -> Vec<PathBuf> {
    let mut found = sizes::children(directory);
    found.retain(|path| !FOLDERS.iter().any(|name| *path == directory.join(name)));
    found
}

/// Whether a path below the workspace's folder is a tool's cache.
pub(super) fn is_cache(directory: &Path, path: &Path) -> bool {
    let home = directory.join(HOME);
    path.strip_prefix(home)
        .is_ok_and(|inner| CACHES.iter().any(|cache| inner == Path::new(cache)))
}

/// Walks a workspace's folders until the deadline.
pub(super) fn find(directory: &Path, deadline: Instant) -> Found {
    let mut walk = Walk {
        directory,
        deadline,
        entries: 0,
        found: Found::default(),
        known: BTreeMap::new(),
    };
    for root in folders(directory) {
        walk.root(&root);
    }
    walk.worktrees_elsewhere();
    walk.found
        .checkouts
        .sort_by_key(|checkout| (checkout.shown != TREE, checkout.shown.clone()));
    walk.found
}

/// What is in a workspace's folder. On a host the folder belongs to root, only root may list it, and it holds
/// these.
fn folders(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found: BTreeSet<PathBuf> = FOLDERS.iter().map(|name| directory.join(name)).collect();
    let is_folder = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    found.extend(sizes::children(directory).into_iter().filter(is_folder));
    found
}

struct Walk<'a> {
    directory: &'a Path,
    deadline: Instant,
    entries: usize,
    found: Found,
    /// Which checkout a `.git` folder belongs to.
    known: BTreeMap<PathBuf, usize>,
}

impl Walk<'_> {
    fn root(&mut self, root: &Path) {
        let Ok(meta) = fs::symlink_metadata(root) else {
            return;
        };
        // A link here would have somebody else's folder looked at.
        if !meta.is_dir() {
            self.unseen(root, "it is no folder");
            return;
        }
        let mut folders = vec![(root.to_owned(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            if self.entries > ENTRIES || Instant::now() > self.deadline {
                self.unseen(root, "there is too much in it to look at all");
                return;
            }
            if depth > DEPTH {
                self.unseen(&folder, "it is too deep");
                continue;
            }
            match self.folder(&folder, meta.dev()) {
                Ok(inner) => folders.extend(inner.into_iter().map(|path| (path, depth + 1))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => self.unseen(&folder, &error.to_string()),
            }
        }
    }

    /// Looks at one folder; gives those in it that are to be looked at.
    fn folder(&mut self, folder: &Path, device: u64) -> std::io::Result<Vec<PathBuf>> {
        // What is mounted is not removed with the workspace.
        if fs::symlink_metadata(folder)?.dev() != device || is_cache(self.directory, folder) {
            return Ok(Vec::new());
        }
        let (mut inner, mut is_head) = (Vec::new(), false);
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            self.entries += 1;
            let kind = entry.file_type()?;
            let name = entry.file_name();
            is_head |= name == "HEAD" && !kind.is_dir();
            if name == ".git" {
                inner.extend(self.dot_git(folder, kind));
            } else if kind.is_dir() && OTHERS.iter().any(|other| name == *other) {
                self.unseen(&entry.path(), "cid can look into repositories of git only");
            } else if kind.is_dir() {
                inner.push(entry.path());
            }
        }
        let has = |name: &str| inner.contains(&folder.join(name));
        if is_head && has("objects") && has("refs") {
            self.add(folder, folder, None);
            return Ok(inside(folder));
        }
        Ok(inner)
    }

    /// A folder's `.git`; gives where further repositories may be.
    fn dot_git(&mut self, folder: &Path, kind: fs::FileType) -> Vec<PathBuf> {
        let path = folder.join(".git");
        if kind.is_dir() {
            self.add(folder, &path, Some(folder));
            return inside(&path);
        }
        match kind.is_file().then(|| pointed_at(&path)).flatten() {
            Some(gitdir) => self.add(folder, &gitdir, Some(folder)),
            None => self.unseen(&path, "it is neither a folder nor says where that is"),
        }
        Vec::new()
    }

    fn add(&mut self, shown: &Path, gitdir: &Path, workdir: Option<&Path>) {
        let gitdir = fs::canonicalize(gitdir).unwrap_or_else(|_| gitdir.to_owned());
        if let Some(&known) = self.known.get(&gitdir) {
            let checkout = &mut self.found.checkouts[known];
            if checkout.workdir.is_none() && workdir.is_some() {
                checkout.shown = shown_below(self.directory, shown);
                checkout.workdir = workdir.map(Path::to_owned);
                return;
            }
            if workdir.is_none() || checkout.workdir.as_deref() == workdir {
                return;
            }
        }
        if self.found.checkouts.len() >= REPOSITORIES {
            self.unseen(shown, "there are too many repositories to look at all");
            return;
        }
        self.known
            .insert(gitdir.clone(), self.found.checkouts.len());
        self.found.checkouts.push(Checkout {
            shown: shown_below(self.directory, shown),
            common: common_of(&gitdir),
            gitdir,
            workdir: workdir.map(Path::to_owned),
        });
    }

    /// Linked worktrees whose files are elsewhere in the workspace, e.g. in `tmp`.
    fn worktrees_elsewhere(&mut self) {
        let commons: Vec<PathBuf> = self
            .found
            .checkouts
            .iter()
            .map(|c| c.common.clone())
            .collect();
        let real = fs::canonicalize(self.directory).unwrap_or_else(|_| self.directory.to_owned());
        for gitdir in commons.iter().flat_map(|common| open::worktrees(common)) {
            let Some(place) = read(&gitdir.join("gitdir")) else {
                continue;
            };
            let place = gitdir.join(place);
            let Some(place) = place.parent() else {
                continue;
            };
            let workdir = fs::canonicalize(place).ok();
            let inner = workdir
                .as_ref()
                .and_then(|path| path.strip_prefix(&real).ok());
            if let Some(inner) = inner {
                let workdir = self.directory.join(inner);
                self.add(&workdir, &gitdir, Some(&workdir));
            } else if !place.starts_with(&real) && !place.starts_with(self.directory) {
                // This process need not see what is there.
                let why = "a linked worktree outside of the workspace, which it would leave without its repository";
                self.unseen(place, why);
            }
        }
    }

    fn unseen(&mut self, path: &Path, why: &str) {
        let shown = shown_below(self.directory, path);
        self.found.unseen.push(format!("{shown}: {why}"));
    }
}

/// A path as people see it.
pub(super) fn shown_below(directory: &Path, path: &Path) -> String {
    let shown = path.strip_prefix(directory).unwrap_or(path);
    shown.to_string_lossy().into_owned()
}

/// Where a repository keeps those of its submodules.
fn inside(gitdir: &Path) -> Vec<PathBuf> {
    let modules = gitdir.join("modules");
    let is_folder = fs::symlink_metadata(&modules).is_ok_and(|meta| meta.is_dir());
    is_folder.then_some(modules).into_iter().collect()
}

/// Where a `.git` file leads.
fn pointed_at(file: &Path) -> Option<PathBuf> {
    let text = read(file)?;
    let path = text.strip_prefix("gitdir:")?.trim();
    Some(file.parent()?.join(path))
}

/// Where commits and branches of a `.git` folder are.
pub(super) fn common_of(gitdir: &Path) -> PathBuf {
    let common = match read(&gitdir.join("commondir")) {
        Some(path) => gitdir.join(path),
        None => gitdir.to_owned(),
    };
    fs::canonicalize(&common).unwrap_or(common)
}

/// A short file's text, without the line feed at its end.
pub(super) fn read(path: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    if !meta.is_file() {
        return None;
    }
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    file.take(POINTER).read_to_string(&mut text).ok()?;
    Some(text.trim_end().to_owned())
}
