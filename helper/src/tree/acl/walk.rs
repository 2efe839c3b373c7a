//! Walks a tree that others change at the same time. Every name is opened by itself, from the folder
//! it is in and never through a link, and what is done is done to what was opened: nobody can put
//! something else in its place.

use crate::tree::beneath::FOLDER;
use cid_protocol::{
    fault::Fault,
    request::{SkipReason, Skipped},
};
use rustix::{
    fs::{self as sys, AtFlags, Dir, Mode, OFlags, Statx, StatxAttributes, StatxFlags},
    io::Errno,
};
use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// Deeper folders are left alone; each level keeps a folder open.
const MAX_DEPTH: usize = 100;
const MAX_SKIPPED: usize = 100;

/// Neither waits at a pipe nor wakes a device, and takes a link for what it is.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Something in the tree.
pub(super) struct Met<'a> {
    pub(super) handle: &'a OwnedFd,
    pub(super) stat: &'a Statx,
    pub(super) path: &'a Path,
}

/// What a visit comes to.
pub(super) enum Visit {
    /// Go on; into it, if it is a folder.
    Seen,
    /// It is left alone, and what is in it too.
    Skip(SkipReason),
}

/// Visits `root` and all that is in it, a folder before what it holds; gives what was left alone, at
/// most the first 100.
///
/// # Errors
/// The root cannot be opened, a folder cannot be listed, or a visit fails.
pub(super) fn walk(
    root: &Path,
    visit: &mut dyn FnMut(&Met<'_>) -> Result<Visit, Fault>,
) -> Result<Vec<Skipped>, Fault> {
    let mut walk = Walk {
        visit,
        path: root.to_owned(),
        skipped: Vec::new(),
    };
    let handle =
        sys::open(root, HANDLE, Mode::empty()).map_err(|error| Fault::io("open", root, error))?;
    let mut open: Vec<Dir> = walk.enter(&handle, 0)?.into_iter().collect();
    while let Some(folder) = open.last_mut() {
        let Some(entry) = folder.read() else {
            open.pop();
            walk.path.pop();
            continue;
        };
        let entry = entry.map_err(|error| Fault::io("list", &walk.path, error))?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        walk.path.push(OsStr::from_bytes(name.to_bytes()));
        let inner = folder
            .fd()
            .and_then(|fd| sys::openat(fd, name, HANDLE, Mode::empty()));
        let below = match inner {
            Ok(handle) => walk.enter(&handle, open.len())?,
            // Gone since it was listed.
            Err(Errno::NOENT) => None,
            Err(error) => return Err(Fault::io("open", &walk.path, error)),
        };
        match below {
            Some(below) => open.push(below),
            None => {
                walk.path.pop();
            }
        }
    }
    Ok(walk.skipped)
}

struct Walk<'a> {
    visit: &'a mut dyn FnMut(&Met<'_>) -> Result<Visit, Fault>,
    path: PathBuf,
    skipped: Vec<Skipped>,
}

impl Walk<'_> {
    /// Visits one thing; gives it open for reading when it is a folder to go into.
    fn enter(&mut self, handle: &OwnedFd, depth: usize) -> Result<Option<Dir>, Fault> {
        let stat = sys::statx(handle, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
            .map_err(|error| Fault::io("look at", &self.path, error))?;
        // The root may well be a mount: that is how a unit makes it writable.
        if depth > 0 && stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            self.skip(SkipReason::Mount);
            return Ok(None);
        }
        let met = Met {
            handle,
            stat: &stat,
            path: &self.path,
        };
        if let Visit::Skip(reason) = (self.visit)(&met)? {
            self.skip(reason);
            return Ok(None);
        }
        if !met.is(sys::FileType::Directory) {
            return Ok(None);
        }
        if depth >= MAX_DEPTH {
            self.skip(SkipReason::Depth);
            return Ok(None);
        }
        sys::openat(handle, c".", FOLDER, Mode::empty())
            .and_then(Dir::new)
            .map(Some)
            .map_err(|error| Fault::io("list", &self.path, error))
    }

    fn skip(&mut self, reason: SkipReason) {
        if self.skipped.len() < MAX_SKIPPED {
            self.skipped.push(Skipped {
                path: shown(self.path.as_path()),
                reason,
            });
        }
    }
}

/// As it can be told: a name may be of any bytes, which no reply can hold.
pub(super) fn shown(path: &Path) -> PathBuf {
    path.to_string_lossy().into_owned().into()
}

impl Met<'_> {
    pub(super) fn is(&self, kind: sys::FileType) -> bool {
        sys::FileType::from_raw_mode(self.mode()) == kind
    }

    pub(super) fn mode(&self) -> u32 {
        self.stat.stx_mode.into()
    }
}
