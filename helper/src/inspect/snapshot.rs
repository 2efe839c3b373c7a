//! The app's folder at one commit of the mirror: nothing that changes while one looks.

use cid_protocol::{
    budget::{
        BUILD_ENTRIES, Budget, REPOSITORY_BYTES, REPOSITORY_FILE, REPOSITORY_FILES,
        REPOSITORY_FOLDERS,
    },
    fault::Fault,
};
use git2::{ObjectType, Oid, Repository, Tree, TreeEntry, TreeWalkMode, TreeWalkResult};
use std::{
    cell::Cell,
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

/// git's mode of a symbolic link.
const LINK: i32 = 0o120_000;
/// How many links are followed on the way to a file, as Linux does.
const MOST_LINKS: usize = 40;

/// Others' code, that brings examples and tests of its own.
const PASSED_OVER: &[&str] = &["node_modules", "vendor", "site-packages"];

/// An app's folder at a commit.
pub(crate) struct Snapshot<'r> {
    repository: &'r Repository,
    root: Tree<'r>,
    app: Tree<'r>,
    /// Where in the repository the app lives; empty for its root.
    pub(crate) app_dir: PathBuf,
    /// How many files, and bytes, have been read.
    read: Cell<(usize, usize)>,
}

impl<'r> Snapshot<'r> {
    /// Finds the folder.
    ///
    /// # Errors
    /// The commit or the folder does not exist.
    pub(crate) fn open(
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
            .find_object(id, None)
            .and_then(|object| object.peel_to_tree())
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
            read: Cell::default(),
        })
    }

    /// The same commit with another folder taken for the app's, by path in the repository; `None`: there is none.
    pub(super) fn at(&self, folder: &Path) -> Option<Self> {
        let app = match folder.as_os_str().is_empty() {
            true => self.root.clone(),
            false => {
                let entry = self.root.get_path(folder).ok()?;
                let object = entry.to_object(self.repository).ok()?;
                object.peel_to_tree().ok()?
            }
        };
        Some(Self {
            repository: self.repository,
            root: self.root.clone(),
            app,
            app_dir: folder.to_owned(),
            read: self.read.clone(),
        })
    }

    /// Whether the app's folder holds a file whose name ends so.
    pub(super) fn has_any(&self, ending: &str) -> bool {
        self.app
            .iter()
            .any(|entry| is_file(&entry) && entry.name().is_ok_and(|name| name.ends_with(ending)))
    }

    /// Whether the app's folder holds that file, or a link that stands for one.
    pub(crate) fn has(&self, name: &str) -> bool {
        // One that leads nowhere is there as well: reading it says what is wrong.
        self.find(&self.app_dir.join(name)).map_or(true, |found| {
            found.is_some_and(|(_, entry)| is_file(&entry))
        })
    }

    /// A file of the app's folder.
    ///
    /// # Errors
    /// As [`Self::read_at`].
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.read_at(&self.app_dir.join(name))
    }

    /// The same of a file that is not to be longer than this.
    ///
    /// # Errors
    /// As [`Self::read_at`].
    pub(crate) fn read_short(
        &self,
        name: &str,
        most: &'static Budget,
    ) -> Result<Option<Vec<u8>>, Fault> {
        self.read_within(&self.app_dir.join(name), most)
    }

    /// A file by its path in the repository. Links inside the repository are followed, as they are in a
    /// clone.
    ///
    /// # Errors
    /// It is a folder or too long, too many have been read already, a link leads out of the repository or nowhere,
    /// or the mirror is damaged.
    pub(crate) fn read_at(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        self.read_within(path, &REPOSITORY_FILE)
    }

    /// What is at a path: a file or a folder, and how git numbers its content.
    ///
    /// # Errors
    /// A link leads out of the repository or nowhere.
    pub(super) fn id_of(&self, path: &Path) -> Result<Option<(ObjectType, Oid)>, Fault> {
        if path.as_os_str().is_empty() {
            return Ok(Some((ObjectType::Tree, self.root.id())));
        }
        let found = self.find(path)?;
        Ok(found.and_then(|(_, entry)| Some((entry.kind()?, entry.id()))))
    }

    fn read_within(&self, path: &Path, most: &'static Budget) -> Result<Option<Vec<u8>>, Fault> {
        let Some((_, entry)) = self.find(path)? else {
            return Ok(None);
        };
        if !is_file(&entry) {
            let message = format!(
                "cannot read {} of the repository: it is no file",
                path.display()
            );
            return Err(Fault::new(message).hint("rename it, or put the file there"));
        }
        let damaged = |error: git2::Error| Fault::io("read from the mirror", path, error.message());
        // The header alone: a long one is not even loaded.
        let odb = self.repository.odb().map_err(damaged)?;
        let (size, _) = odb.read_header(entry.id()).map_err(damaged)?;
        let place = format_args!("{} of the repository", path.display()).to_string();
        most.check(size, &place)?;
        let (files, bytes) = self.read.get();
        REPOSITORY_FILES.check(files + 1, &place)?;
        REPOSITORY_BYTES.check(bytes + size, &place)?;
        self.read.set((files + 1, bytes + size));
        let blob = self.repository.find_blob(entry.id()).map_err(damaged)?;
        Ok(Some(blob.content().to_owned()))
    }

    /// What is at a path, with the path that links on the way lead to.
    fn find(&self, path: &Path) -> Result<Option<(PathBuf, TreeEntry<'static>)>, Fault> {
        let wrong = |why: &str| {
            Fault::new(format!(
                "cannot read {} of the repository: {why}",
                path.display()
            ))
            .hint("put the file itself there, or a link to one in the repository")
        };
        let out = || wrong("a link leads out of it");
        let (mut at, mut links) = (PathBuf::new(), 0);
        let mut found = None;
        let mut waiting = steps(path).ok_or_else(out)?;
        while let Some(step) = waiting.pop_front() {
            let Some(name) = step else {
                if !at.pop() {
                    return Err(out());
                }
                continue;
            };
            let next = at.join(name);
            let Ok(entry) = self.root.get_path(&next) else {
                return match links {
                    0 => Ok(None),
                    _ => Err(wrong("a link leads to something that does not exist")),
                };
            };
            if entry.filemode() == LINK {
                links += 1;
                if links > MOST_LINKS {
                    return Err(wrong("its links lead in a circle"));
                }
                let target = self.repository.find_blob(entry.id());
                let target = target.map_err(|error| wrong(error.message()))?;
                let target = PathBuf::from(OsString::from_vec(target.content().to_owned()));
                let mut steps = steps(&target).ok_or_else(out)?;
                steps.append(&mut waiting);
                waiting = steps;
                continue;
            }
            at = next;
            found = Some(entry);
        }
        Ok(found.map(|entry| (at, entry)))
    }

    /// Names of the folders in the app's folder.
    pub(crate) fn folders(&self) -> impl Iterator<Item = String> {
        self.app
            .iter()
            .filter(|entry| entry.kind() == Some(ObjectType::Tree))
            .filter_map(|entry| entry.name().ok().map(str::to_owned))
            .take(REPOSITORY_FOLDERS.most)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Files and links of the commit, by path in the repository: those in its root and so many levels of folders
    /// below, nearest first. Folders of installed packages and those that begin with a dot are left out; of very
    /// many the last.
    pub(super) fn look_below(&self, levels: usize) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut waiting = VecDeque::from([(PathBuf::new(), self.root.clone())]);
        let mut looked_at = 0;
        while let Some((folder, tree)) = waiting.pop_front() {
            looked_at += 1;
            if looked_at > REPOSITORY_FOLDERS.most {
                break;
            }
            for entry in &tree {
                let Ok(name) = entry.name() else { continue };
                let path = folder.join(name);
                match entry.kind() {
                    Some(ObjectType::Blob) => files.push(path),
                    Some(ObjectType::Tree)
                        if folder.components().count() < levels
                            && !name.starts_with('.')
                            && !PASSED_OVER.contains(&name) =>
                    {
                        let tree = entry
                            .to_object(self.repository)
                            .and_then(|o| o.peel_to_tree());
                        waiting.extend(tree.ok().map(|tree| (path, tree)));
                    }
                    _ => {}
                }
            }
        }
        files
    }

    /// Folders of the commit that are commits of other repositories; of very many files the last are not
    /// looked at.
    pub(super) fn submodules(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut looked_at = 0;
        // It fails when it is stopped.
        let _ = self.root.walk(TreeWalkMode::PreOrder, |folder, entry| {
            looked_at += 1;
            if looked_at > BUILD_ENTRIES.most {
                return TreeWalkResult::Abort;
            }
            if entry.kind() == Some(ObjectType::Commit) {
                let name = OsStr::from_bytes(entry.name_bytes());
                found.push(Path::new(folder).join(name));
            }
            TreeWalkResult::Ok
        });
        found
    }

    /// The whole commit.
    pub(crate) fn root(&self) -> &Tree<'r> {
        &self.root
    }
}

/// The steps of a relative path, `None` one up; `None` for an absolute path.
fn steps(path: &Path) -> Option<VecDeque<Option<OsString>>> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => Some(Some(name.to_owned())),
            Component::ParentDir => Some(None),
            _ => None,
        })
        .collect()
}

fn is_file(entry: &TreeEntry<'_>) -> bool {
    entry.kind() == Some(ObjectType::Blob)
}

/// Resolves a path inside the repository by its text alone; `None` when it leads out.
pub(crate) fn beneath(from: &Path, path: &Path) -> Option<PathBuf> {
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

    /// A repository with one commit that holds these files.
    fn repository(files: &[(String, Vec<u8>)]) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        for (name, content) in files {
            let blob = repository.blob(content).unwrap();
            tree.insert(name, blob, 0o100_644).unwrap();
        }
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let who = git2::Signature::now("a", "a@example.com").unwrap();
        let commit = repository.commit(None, &who, &who, "x", &tree, &[]);
        (dir, commit.unwrap().to_string())
    }

    #[test]
    fn follows_links_inside_the_repository_alone() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let blob = |text: &str| repository.blob(text.as_bytes()).unwrap();
        let mut deploy = repository.treebuilder(None).unwrap();
        deploy
            .insert("Procfile", blob("web: x"), 0o100_644)
            .unwrap();
        let deploy = deploy.write().unwrap();
        let mut app = repository.treebuilder(None).unwrap();
        for (name, target) in [
            ("Procfile", "../other/./Procfile"),
            ("twice", "Procfile"),
            ("out", "../../Procfile"),
            ("absolute", "/etc/passwd"),
            ("nowhere", "gone"),
            ("circle", "circle"),
            ("folder", "../deploy"),
        ] {
            app.insert(name, blob(target), LINK).unwrap();
        }
        let app = app.write().unwrap();
        let mut root = repository.treebuilder(None).unwrap();
        root.insert("deploy", deploy, 0o040_000).unwrap();
        root.insert("other", blob("deploy"), LINK).unwrap();
        root.insert("app", app, 0o040_000).unwrap();
        let root = repository.find_tree(root.write().unwrap()).unwrap();
        let who = git2::Signature::now("a", "a@example.com").unwrap();
        let commit = repository.commit(None, &who, &who, "x", &root, &[]);
        let commit = commit.unwrap().to_string();
        let snapshot = Snapshot::open(&repository, &commit, Path::new("app")).unwrap();
        for name in ["Procfile", "twice", "folder/Procfile"] {
            let content = snapshot.read(name).unwrap();
            assert_eq!(content.as_deref(), Some(&b"web: x"[..]), "{name}");
            assert!(snapshot.has(name));
        }
        for (name, why) in [
            ("out", "leads out"),
            ("absolute", "leads out"),
            ("nowhere", "does not exist"),
            ("circle", "in a circle"),
        ] {
            let fault = snapshot.read(name).unwrap_err();
            assert!(fault.message.contains(why), "{fault}");
            assert!(snapshot.has(name), "{name} is not absent");
        }
        let fault = snapshot.read("folder").unwrap_err();
        assert!(
            !snapshot.has("folder") && fault.message.contains("is no file"),
            "{fault}"
        );
        assert_eq!(snapshot.read("gone").unwrap(), None);
    }

    /// Reads them all; gives how many could be, and what was said of the next one.
    fn read(files: &[(String, Vec<u8>)]) -> (usize, String) {
        let (dir, commit) = repository(files);
        let repository = Repository::open_bare(dir.path()).unwrap();
        let snapshot = Snapshot::open(&repository, &commit, Path::new("")).unwrap();
        let mut count = 0;
        for (name, content) in files {
            match snapshot.read(name) {
                Ok(found) => assert_eq!(found.as_ref(), Some(content)),
                Err(fault) => return (count, fault.message),
            }
            count += 1;
        }
        (count, String::new())
    }

    fn file(name: usize, length: usize) -> (String, Vec<u8>) {
        (format!("f{name}"), vec![b'x'; length])
    }

    #[test]
    fn reads_no_longer_file_no_more_files_and_no_more_in_all() {
        assert_eq!(read(&[file(0, REPOSITORY_FILE.most)]).0, 1);
        let (count, said) = read(&[file(0, REPOSITORY_FILE.most + 1)]);
        assert!(count == 0 && said.contains("8 MiB"), "{said}");
        let many: Vec<_> = (0..=REPOSITORY_FILES.most).map(|n| file(n, 1)).collect();
        let (count, said) = read(&many);
        assert!(
            count == REPOSITORY_FILES.most && said.contains("100"),
            "{said}"
        );
        let whole = REPOSITORY_BYTES.most / REPOSITORY_FILE.most;
        let mut large: Vec<_> = (0..whole).map(|n| file(n, REPOSITORY_FILE.most)).collect();
        large.push(file(whole, 1));
        let (count, said) = read(&large);
        assert!(count == whole && said.contains("32 MiB"), "{said}");
    }

    #[test]
    fn a_short_file_has_a_bound_of_its_own() {
        use cid_protocol::budget::PROCFILE;
        let files = [file(0, PROCFILE.most), file(1, PROCFILE.most + 1)];
        let (dir, commit) = repository(&files);
        let repository = Repository::open_bare(dir.path()).unwrap();
        let snapshot = Snapshot::open(&repository, &commit, Path::new("")).unwrap();
        assert!(snapshot.read_short("f0", &PROCFILE).is_ok());
        assert!(snapshot.read_short("f1", &PROCFILE).is_err());
    }
}
