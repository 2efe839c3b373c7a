//! Looks at where a clone stands, and which of the files that an app is made from have changed in it.

use super::open::open;
use crate::inspect::{
    kinds::{KINDS, detect},
    snapshot::Snapshot,
};
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{LookAtTree, TreeLook},
};
use git2::{ObjectType, Oid, Repository, Tree};
use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// More of a file is not compared; nobody writes a Procfile of this length.
const LONGEST: u64 = 8 * 1024 * 1024;
/// More such files are not looked at.
const FILES: usize = 100;
/// Files by which a package in the tree that has a build of its own says what it needs.
const OF_PACKAGE: [&str; 3] = ["pyproject.toml", "setup.cfg", "setup.py"];

/// Looks at a workspace's clone; changes nothing.
///
/// # Errors
/// It is no repository that libgit2 can read.
pub(crate) fn look(ask: &LookAtTree) -> Result<TreeLook, Fault> {
    let repository = open(&ask.tree.join(".git"), Some(&ask.tree)).cannot("look at the clone")?;
    let head = repository.head().ok();
    let commit = head.as_ref().and_then(|head| head.peel_to_commit().ok());
    let id = commit.as_ref().map(git2::Commit::id);
    let subject = commit.as_ref().and_then(git2::Commit::summary_bytes);
    let branch = head
        .as_ref()
        .filter(|head| head.is_branch())
        .and_then(|head| head.shorthand().ok().map(str::to_owned));
    let upstream = format!("refs/remotes/origin/{}", ask.branch);
    let upstream = repository.refname_to_id(&upstream).ok();
    let counts = id
        .zip(upstream)
        .and_then(|(id, upstream)| repository.graph_ahead_behind(id, upstream).ok());
    Ok(TreeLook {
        head: id.map(|id| id.to_string()),
        branch,
        ahead_behind: counts,
        changed: changed(&repository, ask).unwrap_or_default(),
        subject: String::from_utf8_lossy(subject.unwrap_or_default()).into_owned(),
        uncommitted: uncommitted(&repository),
    })
}

/// How many files differ from the commit.
fn uncommitted(repository: &Repository) -> Option<usize> {
    let mut options = git2::StatusOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .exclude_submodules(true)
        .update_index(false);
    let statuses = repository.statuses(Some(&mut options)).ok()?;
    Some(statuses.len())
}

/// Of the files that say what runs and what is installed, those that are not as at the commit.
fn changed(repository: &Repository, ask: &LookAtTree) -> Option<Vec<String>> {
    let commit = ask.commit.as_deref()?;
    let root = repository
        .find_object(Oid::from_str(commit).ok()?, None)
        .and_then(|object| object.peel_to_tree())
        .ok()?;
    let dir = without_dots(&ask.dir);
    let mut paths = BTreeSet::new();
    for folder in ["", "requirements"].map(Path::new) {
        let place = dir.join(folder);
        let there = fs::read_dir(ask.tree.join(&place)).into_iter().flatten();
        let there = there.flatten().map(|entry| entry.file_name());
        let names = there.chain(names_at(repository, &root, &place));
        let read = names.filter(|name| counts(folder, &name.to_string_lossy()));
        paths.extend(read.map(|name| place.join(name)).take(FILES));
    }
    paths.extend(declared(repository, commit, &dir).into_iter().take(FILES));
    let is_other = |path: &PathBuf| {
        let then = root
            .get_path(path)
            .ok()
            .filter(|entry| entry.kind() == Some(ObjectType::Blob))
            .and_then(|entry| repository.find_blob(entry.id()).ok())
            .map(|blob| plain(blob.content().to_vec()));
        then != now(&ask.tree.join(path))
    };
    let changed = paths.iter().filter(|path| is_other(path));
    let shown = |path: &PathBuf| {
        path.strip_prefix(&dir)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    Some(changed.map(shown).collect())
}

fn without_dots(path: &Path) -> PathBuf {
    let parts = path.components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

/// Names in a folder of the commit.
fn names_at(repository: &Repository, root: &Tree<'_>, folder: &Path) -> Vec<OsString> {
    let tree = match folder.as_os_str().is_empty() {
        true => Some(root.clone()),
        false => root
            .get_path(folder)
            .and_then(|entry| entry.to_object(repository))
            .and_then(|object| object.peel_to_tree())
            .ok(),
    };
    let name = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    tree.iter()
        .flat_map(|tree| tree.iter())
        .map(|entry| name(entry.name_bytes()))
        .collect()
}

/// All files that say at the commit what is installed, those of packages in the tree too.
fn declared(repository: &Repository, commit: &str, dir: &Path) -> Vec<PathBuf> {
    let found = Snapshot::open(repository, commit, dir).and_then(|snapshot| detect(&snapshot));
    // What cannot be understood is reported where it is used.
    let found = found.unwrap_or_default().into_iter();
    found
        .flat_map(|(_, declared)| {
            let of_folder = |folder: &PathBuf| OF_PACKAGE.map(|name| folder.join(name));
            let others: Vec<PathBuf> = declared.others.keys().flat_map(of_folder).collect();
            declared.files.into_keys().chain(others)
        })
        .collect()
}

/// Whether a file says what runs or what is installed.
fn counts(folder: &Path, name: &str) -> bool {
    let is_list = name.ends_with(".txt") || name.ends_with(".in");
    match folder.as_os_str().is_empty() {
        true => {
            ["Procfile", "runtime.txt", ".python-version"].contains(&name)
                || KINDS
                    .iter()
                    .any(|kind| [kind.file, kind.needs].contains(&name))
                || (is_list
                    && (name.starts_with("requirements") || name.starts_with("constraints")))
        }
        false => is_list,
    }
}

/// As git would keep it; `None`: there is none.
fn now(path: &Path) -> Option<Vec<u8>> {
    let meta = fs::symlink_metadata(path).ok()?;
    if meta.is_symlink() {
        let target = fs::read_link(path).ok()?;
        return Some(target.as_os_str().as_bytes().to_vec());
    }
    if !meta.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(LONGEST)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(plain(bytes))
}

/// Line ends differ by settings of git's, and mean nothing here.
fn plain(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.retain(|byte| *byte != b'\r');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::Signature;

    fn commit(repository: &Repository) -> Oid {
        let mut index = repository.index().unwrap();
        index
            .add_all(["*"], git2::IndexAddOption::DEFAULT, None)
            .unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("Anna", "anna@example.com").unwrap();
        let parent = repository
            .head()
            .ok()
            .and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        repository
            .commit(Some("HEAD"), &who, &who, "x", &tree, &parents)
            .unwrap()
    }

    #[test]
    fn tells_what_has_changed_since_and_where_it_stands() {
        for dir in ["", "app"] {
            let folder = tempfile::tempdir().unwrap();
            let tree = folder.path();
            let app = tree.join(dir);
            fs::create_dir_all(app.join("requirements")).unwrap();
            let repository = Repository::init(tree).unwrap();
            fs::write(app.join("Procfile"), "web: a\n").unwrap();
            fs::write(app.join("requirements.txt"), "x\n").unwrap();
            fs::write(app.join("requirements/base.txt"), "y\n").unwrap();
            fs::write(app.join("app.py"), "1\n").unwrap();
            let first = commit(&repository);
            let branch = repository.head().unwrap().shorthand().unwrap().to_owned();
            let upstream = format!("refs/remotes/origin/{branch}");
            repository.reference(&upstream, first, true, "x").unwrap();
            let ask = LookAtTree {
                tree: tree.to_owned(),
                commit: Some(first.to_string()),
                branch: branch.clone(),
                dir: if dir.is_empty() {
                    ".".into()
                } else {
                    dir.into()
                },
            };
            let seen = look(&ask).unwrap();
            assert_eq!(seen.head, Some(first.to_string()));
            assert_eq!((seen.ahead_behind, seen.changed.len()), (Some((0, 0)), 0));

            // In the tree alone, and committed; line ends do not count.
            fs::write(app.join("Procfile"), "web: b\n").unwrap();
            fs::write(app.join("requirements.txt"), "x\r\n").unwrap();
            fs::write(app.join("app.py"), "2\n").unwrap();
            assert_eq!(look(&ask).unwrap().changed, ["Procfile"]);
            fs::write(app.join("requirements/base.txt"), "z\n").unwrap();
            fs::write(app.join("uv.lock"), "new\n").unwrap();
            let second = commit(&repository);
            fs::remove_file(app.join("requirements.txt")).unwrap();
            let seen = look(&ask).unwrap();
            assert_eq!(seen.head, Some(second.to_string()));
            assert_eq!(
                (seen.branch, seen.ahead_behind),
                (Some(branch), Some((1, 0)))
            );
            assert_eq!(
                seen.changed,
                [
                    "Procfile",
                    "requirements/base.txt",
                    "requirements.txt",
                    "uv.lock"
                ]
            );
            // A package of the tree needs another one.
            fs::create_dir_all(app.join("libs/greet")).unwrap();
            let greet = app.join("libs/greet/pyproject.toml");
            fs::write(&greet, "[project]\nname = \"greet\"\nversion = \"1\"\n").unwrap();
            fs::create_dir_all(app.join("libs/old")).unwrap();
            fs::write(app.join("libs/old/setup.py"), "").unwrap();
            fs::write(
                app.join("requirements.txt"),
                "-e ./libs/greet\n./libs/old\n",
            )
            .unwrap();
            fs::remove_file(app.join("uv.lock")).unwrap();
            let ask = LookAtTree {
                commit: Some(commit(&repository).to_string()),
                ..ask
            };
            assert_eq!(look(&ask).unwrap().changed, [""; 0]);
            fs::write(
                &greet,
                "[project]\nname = \"greet\"\nversion = \"1\"\ndependencies = [\"x\"]\n",
            )
            .unwrap();
            fs::write(app.join("libs/greet/code.py"), "").unwrap();
            fs::write(app.join("libs/old/setup.py"), "#").unwrap();
            assert_eq!(
                look(&ask).unwrap().changed,
                ["libs/greet/pyproject.toml", "libs/old/setup.py"]
            );
            // A pipe is not waited for.
            fs::remove_file(app.join("Procfile")).unwrap();
            nix::unistd::mkfifo(&app.join("Procfile"), nix::sys::stat::Mode::S_IRWXU).unwrap();
            assert!(look(&ask).unwrap().changed.contains(&"Procfile".to_owned()));
        }
    }
}
