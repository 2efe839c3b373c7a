//! Files that only cid writes: whole or not at all, and still there after a power cut.
//!
//! For folders that a workspace's user can write to, see the helper instead.

use cid_protocol::fault::{Fault, FaultContext};
use nix::errno::Errno;
use rustix::fs::OFlags;
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Read as _, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Writes a file by temporary file, fsync, rename and fsync of the folder.
///
/// # Errors
/// Any of them fails; the old file is then untouched.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<(), Fault> {
    let temporary = temporary_beside(path)?;
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    if let Err(error) = write() {
        let _ = fs::remove_file(&temporary);
        return Err(Fault::io("write", path, error));
    }
    sync_parent(path)
}

/// Adds to the end of a file that only the owner reads, making it and its folder if they are missing. A power cut may
/// lose it.
///
/// # Errors
/// The folder or the file cannot be made or written; a part may be there.
pub fn append(path: &Path, content: &[u8]) -> Result<(), Fault> {
    if let Some(parent) = path.parent() {
        make_dir(parent, 0o700)?;
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(content))
        .map_err(|error| Fault::io("write", path, error))
}

/// As [`write_atomic`], unless the file has this content already: then a full disk is no obstacle.
pub fn write_changed(path: &Path, content: &[u8], mode: u32) -> Result<(), Fault> {
    match fs::read(path) {
        Ok(present) if present == content => Ok(()),
        _ => write_atomic(path, content, mode),
    }
}

/// Whether an error means that there is no room left.
pub fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// A hidden name: nginx and supervisord include `*.conf` only.
fn temporary_beside(path: &Path) -> Result<PathBuf, Fault> {
    let name = path
        .file_name()
        .ok_or_else(|| Fault::io("write", path, "it names no file"))?;
    Ok(path.with_file_name(format!(".{}.tmp", name.to_string_lossy())))
}

/// Opens an ordinary file for reading. Opening a named pipe or a device could wait for ever.
///
/// # Errors
/// It cannot be opened, or is something else.
pub fn open(path: &Path) -> std::io::Result<File> {
    let waits_for_nobody = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(waits_for_nobody)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is no ordinary file")),
    }
}

/// The content of an ordinary file.
///
/// # Errors
/// As [`open`], or it cannot be read.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.read_to_end(&mut content)?;
    Ok(content)
}

/// A file's text; `None` when there is no such file.
///
/// # Errors
/// It cannot be read, is no ordinary file or no UTF-8.
pub fn read_optional(path: &Path) -> Result<Option<String>, Fault> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        open(path)?.read_to_string(&mut text)?;
        Ok(text)
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::io("read", path, error)),
    }
}

/// Removes a file for good; `false` when there was none.
///
/// # Errors
/// It cannot be removed.
pub fn remove_file(path: &Path) -> Result<bool, Fault> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Fault::io("remove", path, error)),
    }
}

/// Removes a folder that is empty; `false` when there was none, or something is in it.
///
/// # Errors
/// It cannot be removed.
pub fn remove_empty_dir(path: &Path) -> Result<bool, Fault> {
    match fs::remove_dir(path) {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(Fault::io("remove", path, error)),
    }
}

/// Makes a folder with these permissions, and its parents; one that exists keeps its own.
///
/// # Errors
/// It cannot be made, or something else has that name.
pub fn make_dir(path: &Path, mode: u32) -> Result<(), Fault> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(|error| Fault::io("make the folder", path, error))?;
    set_mode(path, mode)?;
    sync_parent(path)
}

/// The path without links in it, as far as it exists and can be followed.
pub fn resolved(path: &Path) -> PathBuf {
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.components().collect(),
    }
}

/// Whether there is nothing at a path, as far as this process can tell: what it may not look at counts
/// as there.
pub fn is_missing(path: &Path) -> bool {
    path.metadata()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Gives a file or folder, not what a link points to, to the user with this number and to the group
/// with the same.
///
/// # Errors
/// It is not there, or this process may not.
pub fn give(path: &Path, uid: u32) -> Result<(), Fault> {
    give_to(path, uid, uid)
}

/// As [`give`], to another group.
///
/// # Errors
/// As [`give`].
pub fn give_to(path: &Path, uid: u32, gid: u32) -> Result<(), Fault> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))
        .map_err(|error| Fault::io("give away", path, error))
}

/// Sets the mode of a file or folder of this process's own user.
///
/// # Errors
/// It cannot be set.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), Fault> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| Fault::io("set the permissions of", path, error))
}

/// Lets accounts and groups list a folder of the daemon's and pass through it; those who were let in
/// before and are not named any more are out.
///
/// # Errors
/// It cannot be opened, or its file system keeps no access lists.
pub fn admit(folder: &Path, uids: &[u32], gids: &[u32]) -> Result<(), Fault> {
    crate::acl::admit(folder, uids, gids)
}

/// Writes to a file of the kernel's that is there.
///
/// # Errors
/// The file does not exist, or the kernel refuses.
pub fn write_control(path: &Path, text: &str) -> Result<(), Fault> {
    fs::write(path, text).map_err(|error| Fault::io("write", path, error))
}

/// Renames for good, never onto something that exists; `false` when `from` does not exist.
///
/// # Errors
/// It cannot be renamed, or `to` exists.
pub fn rename_new(from: &Path, to: &Path) -> Result<bool, Fault> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => {
            sync_parent(to)?;
            sync_parent(from)?;
            Ok(true)
        }
        Err(rustix::io::Errno::NOENT) if fs::symlink_metadata(from).is_err() => Ok(false),
        Err(error) => Err(Fault::io(&format!("move {} to", from.display()), to, error)),
    }
}

/// Whether anything has that name; a dangling link counts.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether nothing is there; `false` also where that cannot be seen.
pub fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Names in a folder, sorted; none when the folder does not exist. Names that are no UTF-8 are
/// left out: cid makes none.
///
/// # Errors
/// It cannot be read.
pub fn names(dir: &Path) -> Result<Vec<String>, Fault> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Fault::io("read the folder", dir, error)),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Free bytes for an ordinary user on the file system of `path`.
///
/// # Errors
/// The path does not exist or cannot be asked.
pub fn free_bytes(path: &Path) -> Result<u64, Fault> {
    let stat = nix::sys::statvfs::statvfs(path)
        .map_err(|error: Errno| Fault::io("ask the free space of", path, error))?;
    Ok(stat.blocks_available() * stat.fragment_size())
}

/// Puts all that has been written to the file system of `dir` on disk, as what helpers write is not
/// synced file by file.
///
/// # Errors
/// It cannot be opened, or the disk fails.
pub fn sync_all_of(dir: &Path) -> Result<(), Fault> {
    let opened = File::open(dir).map_err(|error| Fault::io("open", dir, error))?;
    rustix::fs::syncfs(&opened).map_err(|error| Fault::io("sync the file system of", dir, error))
}

fn sync_parent(path: &Path) -> Result<(), Fault> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .cannot(format!("sync {}", parent.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_whole_files_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.conf");
        write_atomic(&path, b"one", 0o640).unwrap();
        write_atomic(&path, b"two", 0o640).unwrap();
        assert_eq!(read_optional(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o640
        );
        assert_eq!(names(dir.path()).unwrap(), ["a.conf"]);
        assert!(remove_file(&path).unwrap());
        assert!(!remove_file(&path).unwrap());
    }

    #[test]
    fn never_renames_onto_something() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        assert!(!rename_new(&a, &b).unwrap());
        fs::write(&a, "a").unwrap();
        fs::write(&b, "b").unwrap();
        assert!(rename_new(&a, &b).is_err());
        fs::remove_file(&b).unwrap();
        assert!(rename_new(&a, &b).unwrap());
    }
}
