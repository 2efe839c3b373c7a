//! The files of a commit, without their history.

use cid_protocol::{
    budget::{BUILD_ENTRIES, BUILD_FILE, Budget, Over},
    fault::{Fault, FaultContext},
};
use git2::{ObjectType, Oid, Repository, Tree};
use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt, fs::symlink},
    path::{Path, PathBuf},
};

const LINK: i32 = 0o120_000;
const PROGRAM: i32 = 0o100_755;

/// What [`write`] wrote, and what it left out.
#[derive(Default)]
pub(crate) struct Written {
    /// How many files.
    pub files: u64,
    /// Paths of submodules, which become empty folders.
    pub submodules: Vec<PathBuf>,
    /// Paths of links with what they lead to. They are not made, so that nothing is written through one.
    pub links: Vec<(PathBuf, PathBuf)>,
}

impl Written {
    /// Makes the links, which comes last.
    ///
    /// # Errors
    /// The disk is full.
    pub(crate) fn link(&self, target: &Path) -> Result<(), Fault> {
        for (path, to) in &self.links {
            let place = target.join(path);
            symlink(to, &place).map_err(|error| Fault::io("link", &place, error))?;
        }
        Ok(())
    }
}

/// Writes the files of a tree of the mirror at `path` into an empty folder.
///
/// # Errors
/// The tree cannot be read, has too many or too large files, or a name that git would not check out; or the
/// disk is full.
pub(crate) fn write(
    repository: &Repository,
    tree: Tree<'_>,
    target: &Path,
) -> Result<Written, Fault> {
    let damaged =
        |error: git2::Error| Fault::io("read from the mirror", repository.path(), error.message());
    let mut written = Written::default();
    let mut waiting = vec![(PathBuf::new(), tree)];
    let mut count = 0;
    while let Some((folder, tree)) = waiting.pop() {
        for entry in tree.iter() {
            count += 1;
            over(&BUILD_ENTRIES, count, "this commit")?;
            let name = OsStr::from_bytes(entry.name_bytes());
            let path = folder.join(plain(name, &folder)?);
            let place = target.join(&path);
            match (entry.kind(), entry.filemode()) {
                (Some(ObjectType::Tree), _) => {
                    fs::create_dir(&place).map_err(|error| Fault::io("make", &place, error))?;
                    let object = entry.to_object(repository).map_err(damaged)?;
                    waiting.push((path, object.peel_to_tree().map_err(damaged)?));
                }
                (Some(ObjectType::Blob), LINK) => {
                    let content = blob(repository, entry.id(), &path)?;
                    let to = PathBuf::from(OsStr::from_bytes(content.content()));
                    written.links.push((path, to));
                }
                (Some(ObjectType::Blob), mode) => {
                    let content = blob(repository, entry.id(), &path)?;
                    write_file(&place, content.content(), mode == PROGRAM)?;
                    written.files += 1;
                }
                _ => {
                    fs::create_dir(&place).map_err(|error| Fault::io("make", &place, error))?;
                    written.submodules.push(path);
                }
            }
        }
    }
    Ok(written)
}

/// A name that git itself would check out.
fn plain<'n>(name: &'n OsStr, folder: &Path) -> Result<&'n OsStr, Fault> {
    let bytes = name.as_bytes();
    let is_bad = bytes.is_empty()
        || [&b"."[..], b".."].contains(&bytes)
        || bytes.eq_ignore_ascii_case(b".git")
        || bytes.iter().any(|byte| [b'/', 0].contains(byte));
    match is_bad {
        true => Err(Fault::new(format!(
            "cannot export {}: it is no name of a file",
            folder.join(name).display()
        ))),
        false => Ok(name),
    }
}

fn blob<'r>(mirror: &'r Repository, id: Oid, path: &Path) -> Result<git2::Blob<'r>, Fault> {
    let damaged = |error: git2::Error| Fault::io("read from the mirror", path, error.message());
    let (size, _) = mirror
        .odb()
        .and_then(|odb| odb.read_header(id))
        .map_err(damaged)?;
    over(&BUILD_FILE, size, &path.display().to_string())?;
    mirror.find_blob(id).map_err(damaged)
}

fn write_file(path: &Path, content: &[u8], is_program: bool) -> Result<(), Fault> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if is_program { 0o777 } else { 0o666 })
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .cannot(format!("write {}", path.display()))
}

pub(crate) fn over(budget: &'static Budget, amount: usize, of: &str) -> Result<(), Fault> {
    budget
        .check(amount, of)
        .map_err(|over| Fault::new(over.to_string()).hint(Over::HINT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submodule_becomes_an_empty_folder() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path().join("mirror")).unwrap();
        let blob = repository.blob(b"a").unwrap();
        let mut root = repository.treebuilder(None).unwrap();
        root.insert("a.txt", blob, 0o100_644).unwrap();
        root.insert("vendor", blob, 0o160_000).unwrap();
        root.insert("link", repository.blob(b"a.txt").unwrap(), LINK)
            .unwrap();
        let tree = repository.find_tree(root.write().unwrap()).unwrap();
        let target = dir.path().join("out");
        fs::create_dir(&target).unwrap();
        let written = write(&repository, tree, &target).unwrap();
        assert_eq!((written.files, written.links.len()), (1, 1));
        assert_eq!(written.submodules, [Path::new("vendor")]);
        assert!(
            fs::read_dir(target.join("vendor"))
                .unwrap()
                .next()
                .is_none()
        );
        assert!(!target.join("link").exists());
        written.link(&target).unwrap();
        assert_eq!(fs::read(target.join("link")).unwrap(), b"a");
    }
}
