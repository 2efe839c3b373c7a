//! What installers leave in the tree, such as `node_modules` and `vendor`: taken out of the exported files, kept in
//! the environment, and placed in a workspace's tree.

use crate::{
    inspect::snapshot::Snapshot,
    tree::{beneath::Root, exclude::exclude, purge},
};
use cid_protocol::{
    fault::Fault,
    request::{FOR_TREE, PlacePackages, Placed},
};
use git2::{ObjectType, Repository, Tree};
use rustix::{
    fs::{self as sys, AtFlags, FileType},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Left behind by tools as they run, and of no use elsewhere.
const PASSED_OVER: &[&str] = &["__pycache__", "npm-debug.log"];
const PASSED_OVER_ENDS: &[&str] = &[".egg-info", ".pyc"];
/// In the folder of an environment of Python's.
const VENV: &str = "pyvenv.cfg";
/// In an environment: what it brings into a tree, each path with a NUL at its end.
const LIST: &str = ".cid-tree";
/// In each folder that cid brought into a tree: the environment's name.
const MARK: &str = ".cid-packages";
/// A list or mark is no longer, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Moves what the commit does not have from the exported files into the environment; `false`: an environment of
/// Python's is among it, which cannot be moved.
///
/// # Errors
/// Something cannot be read or moved.
pub(super) fn take(
    mirror: &Repository,
    snapshot: &Snapshot<'_>,
    sources: &Path,
    environment: &Path,
) -> Result<bool, Fault> {
    let place = environment.join(FOR_TREE);
    let mut list = Vec::new();
    let mut waiting = vec![(PathBuf::new(), snapshot.root().clone())];
    while let Some((folder, tree)) = waiting.pop() {
        let at = sources.join(&folder);
        for entry in fs::read_dir(&at).map_err(|error| Fault::io("read", &at, error))? {
            let entry = entry.map_err(|error| Fault::io("read", &at, error))?;
            let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
            let kind = entry
                .file_type()
                .map_err(|error| Fault::io("look at", &at, error))?;
            if let Some(known) = entry_of(&tree, &name) {
                let inner = known
                    .to_object(mirror)
                    .and_then(|object| object.peel_to_tree());
                if let (true, Ok(inner)) = (kind.is_dir(), inner) {
                    waiting.push((path, inner));
                }
                continue;
            }
            if is_passed_over(&name) || is_setuptools(&entry.path()) {
                continue;
            }
            if entry.path().join(VENV).exists() {
                return Ok(false);
            }
            let to = place.join(&path);
            let parent = to.parent().unwrap_or(&place);
            fs::create_dir_all(parent).map_err(|error| Fault::io("make", parent, error))?;
            fs::rename(entry.path(), &to).map_err(|error| Fault::io("keep", &path, error))?;
            list.extend_from_slice(path.as_os_str().as_bytes());
            list.push(0);
        }
    }
    let path = environment.join(LIST);
    fs::write(&path, list).map_err(|error| Fault::io("write", &path, error))?;
    Ok(true)
}

fn entry_of<'t>(tree: &'t Tree<'_>, name: &OsStr) -> Option<git2::TreeEntry<'t>> {
    tree.get_name_bytes(name.as_bytes())
        .filter(|entry| entry.kind() != Some(ObjectType::Commit))
}

fn is_passed_over(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    PASSED_OVER.contains(&&*name) || PASSED_OVER_ENDS.iter().any(|end| name.ends_with(end))
}

/// What setuptools leaves where it builds a package: `build` with nothing but folders of its own.
fn is_setuptools(path: &Path) -> bool {
    let is_its = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name == "lib"
            || ["lib.", "bdist.", "temp.", "scripts-"]
                .iter()
                .any(|begin| name.starts_with(begin))
    };
    let names = fs::read_dir(path).ok().filter(|_| path.ends_with("build"));
    names.is_some_and(|names| names.flatten().all(is_its))
}

/// Puts it into a tree; git leaves out what is new.
///
/// # Errors
/// Something cannot be read or written.
pub(super) fn place(ask: &PlacePackages) -> Result<Placed, Fault> {
    let mut placed = Placed::default();
    let environment = Root::open(&ask.environment)?;
    if environment.kind(Path::new(LIST))?.is_none() {
        return Ok(placed);
    }
    let list = environment.read(Path::new(LIST), LONGEST)?;
    let tree = Root::open(&ask.tree)?;
    let name = ask.environment.file_name().unwrap_or_default();
    let mut new = Vec::new();
    for path in list.split_terminator('\0').map(Path::new) {
        let mark = path.join(MARK);
        match tree.kind(path)? {
            None => {}
            Some(FileType::Directory) if tree.kind(&mark)?.is_some() => {
                let is_same = || tree.read(&mark, LONGEST).is_ok_and(|text| name == &*text);
                if !ask.moves && is_same() {
                    continue;
                }
            }
            Some(_) => {
                placed.left.push(path.to_owned());
                continue;
            }
        }
        one(ask, &environment, &tree, path, &mut placed)?;
        new.push(path.to_owned());
    }
    exclude(&tree, &new)?;
    Ok(placed)
}

/// Brings one folder or file, whole or not at all.
fn one(
    ask: &PlacePackages,
    environment: &Root,
    tree: &Root,
    path: &Path,
    placed: &mut Placed,
) -> Result<(), Fault> {
    let source = Path::new(FOR_TREE).join(path);
    let (parent, name) = tree.split(path)?;
    let folder = tree.make_folder(&parent)?;
    let temporary = tree.free_temporary(&folder, path)?;
    let beside = parent.join(temporary);
    if ask.moves {
        let (from, to) = (ask.environment.join(&source), ask.tree.join(&beside));
        fs::rename(&from, &to).map_err(|error| Fault::io("move", &from, error))?;
    } else {
        copy(environment, tree, (&source, &beside), placed)?;
    }
    if tree.kind(&beside)? == Some(FileType::Directory) {
        let of = ask.environment.file_name().unwrap_or_default();
        tree.write(&beside.join(MARK), of.as_bytes())?;
    }
    // Nothing but an earlier environment's is here.
    purge::purge(&ask.tree.join(path))?;
    tree.rename(&folder, temporary, &name, path)
}

fn copy(
    from: &Root,
    tree: &Root,
    (source, target): (&Path, &Path),
    placed: &mut Placed,
) -> Result<(), Fault> {
    let mut waiting = vec![(source.to_owned(), target.to_owned())];
    while let Some((source, target)) = waiting.pop() {
        match from.kind(&source)? {
            Some(FileType::Directory) => {
                tree.make_folder(&target)?;
                for name in from.names(&source)? {
                    waiting.push((source.join(&name), target.join(&name)));
                }
            }
            Some(FileType::Symlink) => {
                let to = sys::readlinkat(from, &source, Vec::new())
                    .map_err(|error| from.fault("read", &source, error))?;
                sys::symlinkat(&to, tree, &target)
                    .map_err(|error| tree.fault("link", &target, error))?;
            }
            Some(FileType::RegularFile) => file(from, tree, (&source, &target), placed)?,
            _ => {}
        }
    }
    Ok(())
}

/// A hard link; on another file system, or of a file that this user does not own, a copy, which shares its blocks
/// where the file system can.
fn file(
    from: &Root,
    tree: &Root,
    (source, target): (&Path, &Path),
    placed: &mut Placed,
) -> Result<(), Fault> {
    match sys::linkat(from, source, tree, target, AtFlags::empty()) {
        Ok(()) => {
            placed.linked += 1;
            return Ok(());
        }
        Err(Errno::XDEV | Errno::PERM | Errno::ACCESS | Errno::MLINK | Errno::OPNOTSUPP) => {}
        Err(error) => return Err(tree.fault("link", target, error)),
    }
    placed.copied += 1;
    tree.copy_file(from, source, target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    /// An environment with two packages and a link, sealed as far as this needs it.
    fn environment(dir: &Path, name: &str, word: &str) -> PathBuf {
        let environment = dir.join(name);
        let package = environment.join("tree/node_modules/x");
        fs::create_dir_all(&package).unwrap();
        fs::create_dir_all(environment.join("tree/node_modules/.bin")).unwrap();
        fs::write(package.join("x.js"), word).unwrap();
        fs::set_permissions(package.join("x.js"), fs::Permissions::from_mode(0o444)).unwrap();
        symlink("../x/x.js", environment.join("tree/node_modules/.bin/x")).unwrap();
        fs::write(environment.join(LIST), "node_modules\0").unwrap();
        environment
    }

    fn tree(dir: &Path) -> PathBuf {
        let tree = dir.join("src");
        fs::create_dir_all(tree.join(".git/info")).unwrap();
        tree
    }

    fn placed(environment: &Path, tree: &Path, moves: bool) -> Placed {
        place(&PlacePackages {
            environment: environment.to_owned(),
            tree: tree.to_owned(),
            moves,
            alone: false,
        })
        .unwrap()
    }

    #[test]
    fn another_environment_takes_the_place_of_an_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        let tree = tree(dir.path());
        let (one, two) = (
            environment(dir.path(), "one", "one"),
            environment(dir.path(), "two", "two"),
        );
        assert_eq!(placed(&one, &tree, false).linked, 1);
        let file = tree.join("node_modules/.bin/x");
        let source = one.join("tree/node_modules/x/x.js");
        assert_eq!(
            fs::metadata(&file).unwrap().ino(),
            fs::metadata(source).unwrap().ino()
        );
        // One that was killed in the middle left this.
        fs::create_dir_all(tree.join(".cid.tmp/half")).unwrap();
        fs::write(tree.join("node_modules/added.js"), "").unwrap();
        assert_eq!(placed(&one, &tree, false), Placed::default());
        assert!(tree.join("node_modules/added.js").exists());
        assert_eq!(placed(&two, &tree, false).linked, 1);
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert!(!tree.join("node_modules/added.js").exists() && !tree.join(".cid.tmp").exists());
        let excluded = fs::read_to_string(tree.join(".git/info/exclude")).unwrap();
        assert!(excluded.contains("/node_modules"), "{excluded}");
        // The workspace's own.
        let own = environment(dir.path(), "venv", "own");
        assert_eq!(placed(&own, &tree, true).left, [""; 0].map(PathBuf::from));
        assert_eq!(fs::read_to_string(&file).unwrap(), "own");
        assert!(!own.join("tree/node_modules").exists());
    }

    #[test]
    fn what_somebody_else_put_there_stays_and_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let tree = tree(dir.path());
        let one = environment(dir.path(), "one", "one");
        let theirs = tree.join("node_modules/x/x.js");
        fs::create_dir_all(theirs.parent().unwrap()).unwrap();
        fs::write(&theirs, "theirs").unwrap();
        assert_eq!(
            placed(&one, &tree, false).left,
            [PathBuf::from("node_modules")]
        );
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        // A link leads nowhere else.
        fs::remove_dir_all(tree.join("node_modules")).unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        symlink(&outside, tree.join("node_modules")).unwrap();
        assert_eq!(placed(&one, &tree, false).linked, 0);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
