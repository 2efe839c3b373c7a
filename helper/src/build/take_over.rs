//! Makes a build's files, or a copy of a database, root's. The account that made them may still be at work in them.
//!
//! Folder by folder, each given before it is listed: from then on nobody else can put anything into it. Links are
//! given, not followed, and nothing that is mounted inside is entered.

use crate::tree::beneath::FOLDER;
use cid_protocol::{fault::Fault, request::TakeOver};
use rustix::{
    fs::{self as sys, AtFlags, Dir, FileType, Gid, Mode, OFlags, RawMode, ResolveFlags, Uid},
    io::Errno,
};
use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// Write bits of all.
const WRITE: RawMode = 0o222;
const INSIDE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Gives everything beneath the roots to the user this runs as, without write bits; a root that is missing is no
/// error. Groups stay.
///
/// # Errors
/// Something cannot be given.
pub(crate) fn take_over(ask: &TakeOver) -> Result<(), Fault> {
    let user = rustix::process::geteuid();
    for path in &ask.roots {
        match sys::open(path, FOLDER, Mode::empty()) {
            Ok(root) => below(&root, path, user)?,
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR) => file(path, user)?,
            Err(error) => return Err(Fault::io("open", path, error)),
        }
    }
    Ok(())
}

/// A file in a folder that nobody else can take it from.
fn file(path: &Path, user: Uid) -> Result<(), Fault> {
    let failed = |error| Fault::io("seal", path, error);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = sys::open(path, flags, Mode::empty()).map_err(failed)?;
    match FileType::from_raw_mode(sys::fstat(&file).map_err(failed)?.st_mode) {
        FileType::RegularFile => give(&file, user).map_err(failed),
        _ => Err(Fault::io("seal", path, "it is neither a file nor a folder")),
    }
}

fn below(root: &OwnedFd, of: &Path, user: Uid) -> Result<(), Fault> {
    let mut waiting = vec![PathBuf::from(".")];
    while let Some(path) = waiting.pop() {
        let failed = |error| Fault::io("seal", &of.join(&path), error);
        let folder = sys::openat2(root, &path, FOLDER, Mode::empty(), INSIDE).map_err(failed)?;
        give(&folder, user).map_err(failed)?;
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let inner = path.join(OsStr::from_bytes(name.to_bytes()));
            let stat = sys::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            let given = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    waiting.push(inner.clone());
                    Ok(())
                }
                FileType::RegularFile => {
                    let flags = OFlags::RDONLY
                        | OFlags::NOFOLLOW
                        | OFlags::NONBLOCK
                        | OFlags::CLOEXEC
                        | OFlags::NOCTTY;
                    sys::openat2(&folder, name, flags, Mode::empty(), INSIDE)
                        .and_then(|file| give(&file, user))
                }
                // A link has no bits of its own, and nothing runs from a pipe or a socket.
                _ => sys::chownat(
                    &folder,
                    name,
                    Some(user),
                    None::<Gid>,
                    AtFlags::SYMLINK_NOFOLLOW,
                ),
            };
            given.map_err(|error| Fault::io("seal", &of.join(&inner), error))?;
        }
    }
    Ok(())
}

/// The bits last: until it is given, its owner can set them.
fn give(fd: &OwnedFd, user: Uid) -> Result<(), Errno> {
    sys::fchown(fd, Some(user), None::<Gid>)?;
    let mode = sys::fstat(fd)?.st_mode & 0o7777;
    match mode & WRITE {
        0 => Ok(()),
        _ => sys::fchmod(fd, Mode::from_raw_mode(mode & !WRITE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    };

    #[test]
    fn all_is_given_and_no_link_is_followed() {
        let is_root = rustix::process::geteuid().is_root();
        let dir = tempfile::tempdir().unwrap();
        let (src, outside) = (dir.path().join("src"), dir.path().join("outside"));
        fs::create_dir_all(src.join("sub")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "x").unwrap();
        fs::write(src.join("sub/file"), "x").unwrap();
        fs::write(src.join("script"), "x").unwrap();
        fs::set_permissions(src.join("script"), fs::Permissions::from_mode(0o777)).unwrap();
        symlink(&outside, src.join("folder")).unwrap();
        symlink(outside.join("file"), src.join("link")).unwrap();
        let all = ["src", "src/sub", "src/sub/file", "src/script"];
        if is_root {
            for path in all.iter().chain(&["outside", "outside/file"]) {
                chown(dir.path().join(path), Some(65534), Some(65534)).unwrap();
            }
            lchown(src.join("link"), Some(65534), Some(65534)).unwrap();
        }
        let copy = dir.path().join("copy");
        fs::write(&copy, "x").unwrap();
        let roots = vec![src.clone(), dir.path().join("venv"), copy.clone()];
        take_over(&TakeOver {
            roots: roots.clone(),
        })
        .unwrap();
        take_over(&TakeOver { roots }).unwrap();
        for path in ["copy"].into_iter().chain(all) {
            let seen = fs::metadata(dir.path().join(path)).unwrap();
            assert_eq!(seen.mode() & WRITE, 0, "{path}");
            if is_root {
                assert_eq!(seen.uid(), 0, "{path}");
            }
        }
        assert_eq!(
            fs::metadata(src.join("script")).unwrap().mode() & 0o777,
            0o555
        );
        let link = fs::symlink_metadata(src.join("link")).unwrap();
        for path in ["outside", "outside/file"] {
            let seen = fs::metadata(dir.path().join(path)).unwrap();
            assert_ne!(seen.mode() & WRITE, 0, "{path}");
            if is_root {
                assert_eq!((seen.uid(), link.uid()), (65534, 0), "{path}");
            }
        }
    }
}
