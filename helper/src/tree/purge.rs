//! Removes whole folders, whatever is in them: by descriptor, following no link, crossing no
//! mount, with two open folders at any depth.
//!
//! A deep folder is not walked down. Each folder met is emptied of files, its own folders are moved
//! up beside it, and it is removed; so nothing is ever deeper than two levels below the root.

use crate::tree::beneath::{CONFINED, FOLDER};
use cid_protocol::{fault::Fault, request::Purged};
use rustix::{
    fs::{self as sys, AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags},
    io::Errno,
};
use std::{
    ffi::{CStr, CString, OsStr},
    fs,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

/// How many bytes of names are read at once.
const LISTING: usize = 32 * 1024;

/// Removes a file or folder with all that is in it; none is no error.
///
/// # Errors
/// Something is mounted in it, or something cannot be removed. All else is gone then.
pub(crate) fn purge(path: &Path) -> Result<Purged, Fault> {
    let Some((parent, name)) = open_parent(path)? else {
        return Ok(Purged::default());
    };
    refuse_mounts(path, true)?;
    remove_at(&parent, name, path)
}

/// Makes a folder, or empties the one that is there: it may be the workspace user's while its
/// parent is not.
///
/// # Errors
/// As [`purge`]; or there is something else than a folder.
pub(crate) fn make_empty(path: &Path) -> Result<(), Fault> {
    match sys::mkdir(path, Mode::from_raw_mode(0o777)) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => {}
        Err(error) => return Err(Fault::io("make the folder", path, error)),
    }
    // The folder itself may well be one: that is how a unit makes it writable.
    refuse_mounts(path, false)?;
    let root = sys::open(path, FOLDER, Mode::empty())
        .map_err(|error| Fault::io("open the folder", path, error))?;
    open_up(&root);
    Purge::new(path).empty(&root)
}

/// Removes what an open folder holds under a name; `path` is for messages.
pub(crate) fn remove_at(parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<Purged, Fault> {
    let name = CString::new(name.as_bytes()).map_err(|error| Fault::io("remove", path, error))?;
    let mut purge = Purge::new(path);
    match sys::unlinkat(parent, &name, AtFlags::empty()) {
        Ok(()) => return Ok(Purged { removed: 1 }),
        Err(Errno::NOENT) => return Ok(Purged::default()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(purge.fault(&name, error)),
    }
    let root = purge.open(parent.as_fd(), &name)?;
    purge.empty(&root)?;
    sys::unlinkat(parent, &name, AtFlags::REMOVEDIR).map_err(|error| purge.fault(&name, error))?;
    Ok(Purged {
        removed: purge.removed + 1,
    })
}

fn open_parent(path: &Path) -> Result<Option<(OwnedFd, &OsStr)>, Fault> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Fault::io("remove", path, "it names no folder"));
    };
    match sys::open(
        parent,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Ok(fd) => Ok(Some((fd, name))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(Fault::io("open", parent, error)),
    }
}

/// Looked at before anything is removed: mounted file systems are not touched.
fn refuse_mounts(path: &Path, itself: bool) -> Result<(), Fault> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mounts: Vec<String> = table
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.split(|&byte| byte == b' ').nth(4))
        .map(unescape)
        .filter(|mount| mount.starts_with(&real) && (itself || *mount != real))
        .map(|mount| mount.display().to_string())
        .collect();
    if mounts.is_empty() {
        return Ok(());
    }
    let mounts = mounts.join(", ");
    Err(Fault::new(format!(
        "cannot remove {}: something is mounted at {mounts}",
        path.display()
    ))
    .hint(format!("umount {mounts}, then retry")))
}

/// mountinfo writes space, tab, line feed and backslash as `\ooo`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &tail[3..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    OsStr::from_bytes(&bytes).into()
}

struct Purge<'a> {
    /// For messages.
    path: &'a Path,
    removed: u64,
    /// For names of folders moved up.
    next: u64,
    first: Option<Fault>,
}

impl<'a> Purge<'a> {
    fn new(path: &'a Path) -> Self {
        Self {
            path,
            removed: 0,
            next: 0,
            first: None,
        }
    }

    /// Goes on past what cannot be removed, and then says what was first.
    fn empty(&mut self, root: &OwnedFd) -> Result<(), Fault> {
        loop {
            let before = (self.removed, self.next);
            self.first = None;
            // Folders are moved into the one being read, so one pass need not see them all.
            let left = self.pass(root)?;
            if left == 0 {
                return Ok(());
            }
            if before == (self.removed, self.next) {
                let fallback =
                    || Fault::io("empty", self.path, "something keeps being put into it");
                return Err(self.first.take().unwrap_or_else(fallback));
            }
        }
    }

    /// One look at every entry of the root; gives how many there were.
    fn pass(&mut self, root: &OwnedFd) -> Result<u64, Fault> {
        let mut seen = 0;
        self.each(root, |purge, name, is_folder| {
            seen += 1;
            let removed = if is_folder {
                purge.folder(root, name)
            } else {
                purge.unlink(root, name)
            };
            purge.note(removed);
        })?;
        Ok(seen)
    }

    /// Empties a folder of the root by one level and removes it.
    fn folder(&mut self, root: &OwnedFd, name: &CStr) -> Result<(), Fault> {
        if sys::unlinkat(root, name, AtFlags::REMOVEDIR).is_ok() {
            self.removed += 1;
            return Ok(());
        }
        let folder = self.open(root.as_fd(), name)?;
        self.each(&folder, |purge, name, is_folder| {
            let removed = if is_folder {
                purge.move_up(&folder, name, root)
            } else {
                purge.unlink(&folder, name)
            };
            purge.note(removed);
        })?;
        // What could not go is said already; what was not seen yet is met in the next pass.
        if sys::unlinkat(root, name, AtFlags::REMOVEDIR).is_ok() {
            self.removed += 1;
        }
        Ok(())
    }

    fn unlink(&mut self, folder: &OwnedFd, name: &CStr) -> Result<(), Fault> {
        match sys::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) => {
                self.removed += 1;
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.fault(name, error)),
        }
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &CStr, root: &OwnedFd) -> Result<(), Fault> {
        if sys::unlinkat(folder, name, AtFlags::REMOVEDIR).is_ok() {
            self.removed += 1;
            return Ok(());
        }
        let (begin, mut allowed) = (self.next, false);
        loop {
            self.next += 1;
            let new = format!(".cid-purge-{}", self.next);
            match sys::renameat_with(folder, name, root, new.as_str(), RenameFlags::NOREPLACE) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                // Left by an earlier attempt, or made by someone who knows this code.
                Err(Errno::EXIST) => {}
                // A folder that gets another parent must itself be writable.
                Err(Errno::ACCESS) if !allowed => {
                    allowed = true;
                    let _ = self.open(folder.as_fd(), name);
                }
                Err(error) => {
                    // Nothing has moved: counted, it would look as if a further pass were of use.
                    self.next = begin;
                    return Err(self.fault(name, error));
                }
            }
        }
    }

    /// Opens a folder to empty it, on the same mount as its parent. One that its owner closed, or sealed, is
    /// opened up.
    fn open(&self, parent: std::os::fd::BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Fault> {
        let resolve = CONFINED | ResolveFlags::NO_XDEV;
        match sys::openat2(parent, name, FOLDER, Mode::empty(), resolve) {
            Err(Errno::ACCESS) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
                sys::openat2(parent, name, flags, Mode::empty(), resolve)
                    .and_then(|handle| allow(&handle))
                    .and_then(|()| sys::openat2(parent, name, FOLDER, Mode::empty(), resolve))
            }
            other => other,
        }
        .inspect(open_up)
        .map_err(|error| self.fault(name, error))
    }

    /// Calls for each entry of a folder, with its name and whether it is a folder.
    fn each(
        &mut self,
        folder: &OwnedFd,
        mut call: impl FnMut(&mut Self, &CStr, bool),
    ) -> Result<(), Fault> {
        sys::seek(folder, sys::SeekFrom::Start(0))
            .map_err(|error| Fault::io("list", self.path, error))?;
        let mut buffer = [MaybeUninit::uninit(); LISTING];
        let mut entries = RawDir::new(folder, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| Fault::io("list", self.path, error))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Unknown => sys::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
                kind => kind == FileType::Directory,
            };
            call(self, name, is_folder);
        }
        Ok(())
    }

    fn note(&mut self, done: Result<(), Fault>) {
        if let Err(fault) = done {
            self.first.get_or_insert(fault);
        }
    }

    fn fault(&self, name: &CStr, error: Errno) -> Fault {
        let name = name.to_string_lossy();
        match error {
            Errno::XDEV | Errno::BUSY => Fault::new(format!(
                "cannot remove {}: something is mounted at {name} in it",
                self.path.display()
            ))
            .hint("umount it, then retry"),
            Errno::PERM => Fault::new(format!(
                "cannot remove {name} in {}: {error}",
                self.path.display()
            ))
            .hint("lsattr shows whether it is marked immutable"),
            error => Fault::new(format!(
                "cannot remove {name} in {}: {error}",
                self.path.display()
            )),
        }
    }
}

/// Where it fails, removing says so.
fn open_up(folder: &OwnedFd) {
    let _ = allow(folder);
}

/// Lets this process's user read and change a folder of its own; by descriptor, also of one opened
/// only as a handle.
fn allow(folder: &OwnedFd) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(sys::fstat(folder)?.st_mode);
    if mode.contains(Mode::RWXU) {
        return Ok(());
    }
    sys::chmod(
        format!("/proc/self/fd/{}", folder.as_raw_fd()),
        mode | Mode::RWXU,
    )
}

#[cfg(test)]
mod tests {
    use crate::tree::purge::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn none_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(purge(&dir.path().join("none")).unwrap().removed, 0);
        assert_eq!(purge(&dir.path().join("no/parent")).unwrap().removed, 0);
    }

    #[test]
    fn removes_links_not_what_they_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        for place in ["link", "a/link", "a/b/link"] {
            symlink(&outside, tree.join(place)).unwrap();
        }
        // tree, a, b, c and three links
        assert_eq!(purge(&tree).unwrap().removed, 7);
        assert!(!tree.exists() && outside.join("file").exists());
        symlink(&outside, &tree).unwrap();
        purge(&tree).unwrap();
        assert!(outside.join("file").exists());
    }

    #[test]
    fn empties_and_keeps_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        make_empty(&tree).unwrap();
        fs::create_dir_all(tree.join("a/.cid-purge-1/.cid-purge-2")).unwrap();
        fs::create_dir_all(tree.join(".cid-purge-1/x/y")).unwrap();
        make_empty(&tree).unwrap();
        assert_eq!(fs::read_dir(&tree).unwrap().count(), 0);
        symlink("/", dir.path().join("link")).unwrap();
        assert!(make_empty(&dir.path().join("link")).is_err());
    }

    #[test]
    fn reads_the_kernels_escapes() {
        assert_eq!(unescape(br"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescape(br"/a\9"), Path::new(r"/a\9"));
    }
}
