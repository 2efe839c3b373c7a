//! The app's folder at one commit of the mirror: nothing that changes while one looks.

use crate::system::fault::Fault;
use git2::{ObjectType, Oid, Repository, Tree};
use std::path::{Component, Path, PathBuf};

/// Files longer than this are not read.
const MAX_FILE: usize = 8 * 1024 * 1024;

/// An app's folder at a commit.
pub(in crate::helper) struct Snapshot<'r> {
    repository: &'r Repository,
    root: Tree<'r>,
    app: Tree<'r>,
    /// Where in the repository the app lives; empty for its root.
    pub(in crate::helper) app_dir: PathBuf,
}

impl<'r> Snapshot<'r> {
    /// Finds the folder.
    ///
    /// # Errors
    /// The commit or the folder does not exist.
    pub(in crate::helper) fn open(
        repository: &'r Repository,
        commit: &str,
        app_dir: &Path,
    ) -> Result<Self, Fault> {
        let app_dir = beneath(Path::new(""), app_dir).ok_or_else(|| {
            Fault::new(format!(
                "cannot use {}: it leads out of the repository",
                app_dir.display()
            ))
        })?;
        let missing = |error: git2::Error| {
            Fault::new(format!(
                "cannot read commit {commit} in the mirror: {}",
                error.message()
            ))
        };
        let id = Oid::from_str(commit).map_err(missing)?;
        let root = repository
            .find_commit(id)
            .and_then(|commit| commit.tree())
            .map_err(missing)?;
        let app = if app_dir.as_os_str().is_empty() {
            root.clone()
        } else {
            root.get_path(&app_dir)
                .and_then(|entry| entry.to_object(repository))
                .and_then(|object| object.peel_to_tree())
                .map_err(|_| {
                    Fault::new(format!(
                        "cannot find the folder {} at commit {commit}",
                        app_dir.display()
                    ))
                    .hint("check `dir` under [app] in the project's file")
                })?
        };
        Ok(Self {
            repository,
            root,
            app,
            app_dir,
        })
    }

    /// Whether the app's folder holds that file.
    pub(in crate::helper) fn has(&self, name: &str) -> bool {
        self.app
            .get_path(Path::new(name))
            .is_ok_and(|entry| entry.kind() == Some(ObjectType::Blob))
    }

    /// A file of the app's folder.
    ///
    /// # Errors
    /// It is too long, or the mirror is damaged.
    pub(in crate::helper) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.read_at(&self.app_dir.join(name))
    }

    /// A file by its path in the repository.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(in crate::helper) fn read_at(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        let Ok(entry) = self.root.get_path(path) else {
            return Ok(None);
        };
        // A link's blob is the path it leads to, not a file.
        if entry.kind() != Some(ObjectType::Blob) || entry.filemode() == 0o120_000 {
            return Ok(None);
        }
        let blob = self
            .repository
            .find_blob(entry.id())
            .map_err(|error| Fault::io("read from the mirror", path, error.message()))?;
        if blob.size() > MAX_FILE {
            return Err(Fault::io("read", path, "it is longer than 8 MiB"));
        }
        Ok(Some(blob.content().to_owned()))
    }

    /// Names of the folders in the app's folder.
    pub(in crate::helper) fn folders(&self) -> impl Iterator<Item = String> {
        self.app
            .iter()
            .filter(|entry| entry.kind() == Some(ObjectType::Tree))
            .filter_map(|entry| entry.name().ok().map(str::to_owned))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The whole commit.
    pub(in crate::helper) fn root(&self) -> &Tree<'r> {
        &self.root
    }
}

/// Resolves a path inside the repository by its text alone; `None` when it leads out.
pub(in crate::helper) fn beneath(from: &Path, path: &Path) -> Option<PathBuf> {
    let mut resolved = from.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_the_repository() {
        let resolve = |from: &str, path: &str| beneath(Path::new(from), Path::new(path));
        assert_eq!(
            resolve("app", "../req/base.txt"),
            Some("req/base.txt".into())
        );
        assert_eq!(resolve("", "./a/./b"), Some("a/b".into()));
        assert_eq!(resolve("app", "../../x"), None);
        assert_eq!(resolve("app", "/etc/passwd"), None);
    }
}
