//! Looks at where a clone stands, and which of the files that an app is made from have changed in it.

use super::open::open;
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::{LookAtTree, TreeLook},
};
use git2::{ObjectType, Oid, Repository};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// More of a file is not compared; nobody writes a Procfile of this length.
const LONGEST: u64 = 8 * 1024 * 1024;
/// More such files are not looked at.
const FILES: usize = 100;

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
    let id = Oid::from_str(ask.commit.as_deref()?).ok()?;
    let root = repository.find_object(id, None).ok()?;
    let root = root.peel_to_tree().ok()?;
    let mut names = BTreeSet::new();
    for folder in [PathBuf::new(), PathBuf::from("requirements")] {
        let place = ask.dir.join(&folder);
        let mut take = |name: &str| {
            if counts(&folder, name) && names.len() < FILES {
                names.insert(folder.join(name));
            }
        };
        for entry in fs::read_dir(ask.tree.join(&place))
            .into_iter()
            .flatten()
            .flatten()
        {
            take(&entry.file_name().to_string_lossy());
        }
        let tree = match place
            .components()
            .any(|part| matches!(part, std::path::Component::Normal(_)))
        {
            true => root
                .get_path(&place)
                .ok()
                .and_then(|entry| entry.to_object(repository).ok()),
            false => Some(root.as_object().clone()),
        };
        let tree = tree.and_then(|object| object.into_tree().ok());
        for entry in tree.iter().flat_map(|tree| tree.iter()) {
            take(&String::from_utf8_lossy(entry.name_bytes()));
        }
    }
    let is_other = |name: &PathBuf| {
        let path = ask.dir.join(name);
        let path: PathBuf = path
            .components()
            .filter(|part| *part != std::path::Component::CurDir)
            .collect();
        let then = root
            .get_path(&path)
            .ok()
            .filter(|entry| entry.kind() == Some(ObjectType::Blob))
            .and_then(|entry| repository.find_blob(entry.id()).ok())
            .map(|blob| plain(blob.content().to_vec()));
        then != now(&ask.tree.join(path))
    };
    let changed = names.into_iter().filter(is_other);
    Some(changed.map(|name| name.display().to_string()).collect())
}

/// Whether a file says what runs or what is installed.
fn counts(folder: &Path, name: &str) -> bool {
    let is_list = name.ends_with(".txt") || name.ends_with(".in");
    match folder.as_os_str().is_empty() {
        true => {
            [
                "Procfile",
                "runtime.txt",
                ".python-version",
                "pyproject.toml",
                "uv.lock",
            ]
            .contains(&name)
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
            // A pipe is not waited for.
            fs::remove_file(app.join("Procfile")).unwrap();
            nix::unistd::mkfifo(&app.join("Procfile"), nix::sys::stat::Mode::S_IRWXU).unwrap();
            assert!(look(&ask).unwrap().changed.contains(&"Procfile".to_owned()));
        }
    }
}
