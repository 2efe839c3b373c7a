//! Gives an account and groups access to trees by POSIX access lists, written as the kernel keeps
//! them. Follows no link, and leaves files alone that are also somewhere else: their list is shared
//! with that other place.

use super::beneath::FOLDER;
use crate::{
    helper::request::{GrantAccess, Granted},
    system::fault::Fault,
};
use rustix::{
    fs::{self as sys, Dir, FileType, Mode, OFlags, XattrFlags},
    io::Errno,
};
use std::{
    ffi::CStr,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";
/// Deeper folders are left alone; each level keeps a folder open.
const MAX_DEPTH: usize = 100;
const MAX_SKIPPED: usize = 100;

const READ_WRITE: u16 = 6;
const EXECUTE: u16 = 1;
const ALL: u16 = 7;

/// Gives access to all roots and what is in them.
///
/// # Errors
/// A root cannot be opened, or the file system keeps no access lists.
pub(in crate::helper) fn grant(ask: &GrantAccess) -> Result<Granted, Fault> {
    let mut granted = Granted::default();
    for root in &ask.roots {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = sys::open(root, flags, Mode::empty())
            .map_err(|error| Fault::io("open", root, error))?;
        Walk {
            ask,
            granted: &mut granted,
        }
        .root(&handle, root)?;
    }
    Ok(granted)
}

struct Walk<'a> {
    ask: &'a GrantAccess,
    granted: &'a mut Granted,
}

impl Walk<'_> {
    fn root(&mut self, handle: &OwnedFd, path: &Path) -> Result<(), Fault> {
        let mut path = path.to_owned();
        let Some(folder) = self.one(handle, &path)? else {
            return Ok(());
        };
        let mut open = vec![folder];
        while let Some(folder) = open.last_mut() {
            let Some(entry) = folder.read() else {
                open.pop();
                path.pop();
                continue;
            };
            let entry = entry.map_err(|error| Fault::io("list", &path, error))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            path.push(std::ffi::OsStr::from_bytes(name.to_bytes()));
            let inner = folder
                .fd()
                .and_then(|fd| sys::openat(fd, name, flags, Mode::empty()));
            let below = match inner {
                Ok(handle) if open.len() < MAX_DEPTH => self.one(&handle, &path)?,
                Ok(_) => {
                    self.skip(&path);
                    None
                }
                // Gone since it was listed.
                Err(Errno::NOENT) => None,
                Err(error) => return Err(Fault::io("open", &path, error)),
            };
            match below {
                Some(below) => open.push(below),
                None => {
                    path.pop();
                }
            }
        }
        Ok(())
    }

    /// Gives access to one file or folder; gives the folder, open for reading.
    fn one(&mut self, handle: &OwnedFd, path: &Path) -> Result<Option<Dir>, Fault> {
        let stat = sys::fstat(handle).map_err(|error| Fault::io("look at", path, error))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let access = List::new(self.ask, stat.st_mode, ALL, group_of(handle));
                let changed =
                    set(handle, path, ACCESS, &access)? | set(handle, path, DEFAULT, &access)?;
                self.granted.changed += u64::from(changed);
                let folder = sys::openat(handle, ".", FOLDER, Mode::empty())
                    .and_then(Dir::new)
                    .map_err(|error| Fault::io("list", path, error))?;
                Ok(Some(folder))
            }
            FileType::RegularFile if stat.st_nlink > 1 => {
                self.skip(path);
                Ok(None)
            }
            FileType::RegularFile => {
                let owner = bits(stat.st_mode, 6);
                let access = List::new(
                    self.ask,
                    stat.st_mode,
                    READ_WRITE | (owner & EXECUTE),
                    group_of(handle),
                );
                self.granted.changed += u64::from(set(handle, path, ACCESS, &access)?);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn skip(&mut self, path: &Path) {
        if self.granted.skipped.len() < MAX_SKIPPED {
            self.granted.skipped.push(PathBuf::from(path));
        }
    }
}

/// Sets a list unless it is the one that is there; tells whether it did. By way of `/proc`, because
/// a handle opened without reading - which neither waits at a pipe nor wakes a device - takes no
/// attributes itself.
fn set(handle: &OwnedFd, path: &Path, kind: &CStr, list: &List) -> Result<bool, Fault> {
    let place = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let list = list.encode();
    if read(handle, kind).is_some_and(|old| old == list) {
        return Ok(false);
    }
    sys::setxattr(place, kind, &list, XattrFlags::empty())
        .map(|()| true)
        .map_err(|error| {
            let fault = Fault::io("give access to", path, error);
            if error == Errno::OPNOTSUPP {
                fault.hint("the file system keeps no access lists; mount it with acl")
            } else {
                fault
            }
        })
}

fn read(handle: &OwnedFd, kind: &CStr) -> Option<Vec<u8>> {
    let mut buffer = vec![0_u8; 4096];
    let place = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let length = sys::getxattr(place, kind, &mut buffer[..]).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// What the owning group may do by the present list. With a list, the mode's middle digit is the
/// list's mask and says nothing of the group.
fn group_of(handle: &OwnedFd) -> Option<u16> {
    let list = read(handle, ACCESS)?;
    list.get(4..)?.chunks_exact(8).find_map(|entry| {
        let entry: [u8; 8] = entry.try_into().ok()?;
        (u16::from_le_bytes([entry[0], entry[1]]) == Tag::OwningGroup as u16)
            .then(|| u16::from_le_bytes([entry[2], entry[3]]))
    })
}

fn bits(mode: u32, shift: u32) -> u16 {
    ((mode >> shift) & 7) as u16
}

/// In the order in which the kernel wants them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Owner = 0x01,
    User = 0x02,
    OwningGroup = 0x04,
    Group = 0x08,
    Mask = 0x10,
    Other = 0x20,
}

/// An access list.
struct List(Vec<(Tag, u16, u32)>);

impl List {
    /// Owner and owning group keep what they have; others get nothing, because a default list
    /// switches the umask off.
    fn new(ask: &GrantAccess, mode: u32, rights: u16, group: Option<u16>) -> Self {
        const NOBODY: u32 = u32::MAX;
        let is_folder = FileType::from_raw_mode(mode) == FileType::Directory;
        let owner = if is_folder { ALL } else { bits(mode, 6) };
        let group = group.unwrap_or_else(|| bits(mode, 3));
        let mut entries = vec![
            (Tag::Owner, owner, NOBODY),
            (Tag::OwningGroup, group, NOBODY),
        ];
        entries.extend(ask.uids.iter().map(|&uid| (Tag::User, rights, uid)));
        entries.extend(ask.gids.iter().map(|&gid| (Tag::Group, rights, gid)));
        entries.push((Tag::Mask, rights | group, NOBODY));
        entries.push((Tag::Other, 0, NOBODY));
        entries.sort_by_key(|&(tag, _, id)| (tag, id));
        entries.dedup();
        Self(entries)
    }

    fn encode(&self) -> Vec<u8> {
        const VERSION: u32 = 2;
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for &(tag, rights, id) in &self.0 {
            bytes.extend((tag as u16).to_le_bytes());
            bytes.extend(rights.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }
}
