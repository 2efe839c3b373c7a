//! A POSIX access list, as the kernel keeps it in an extended attribute.

use cid_protocol::{fault::Fault, request::GrantAccess};
use rustix::{
    fs::{self as sys, FileType, XattrFlags},
    io::Errno,
};
use std::{
    ffi::CStr,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

/// Says what may be done with the file or folder itself.
pub const ACCESS: &CStr = c"system.posix_acl_access";
/// Says what new things in a folder begin with.
pub const DEFAULT: &CStr = c"system.posix_acl_default";

/// May be read, or listed.
pub const READ: u16 = 4;
/// May be written, or things made and removed in it.
pub const WRITE: u16 = 2;
/// May be executed, or passed through.
pub const EXECUTE: u16 = 1;
/// All three.
pub const ALL: u16 = 7;

const VERSION: u32 = 2;
/// The number of entries that name nobody.
const NOBODY: u32 = u32::MAX;

/// In the order in which the kernel wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Owner = 0x01,
    User = 0x02,
    OwningGroup = 0x04,
    Group = 0x08,
    Mask = 0x10,
    Other = 0x20,
}

impl Tag {
    const ALL: [Self; 6] = [
        Self::Owner,
        Self::User,
        Self::OwningGroup,
        Self::Group,
        Self::Mask,
        Self::Other,
    ];
}

/// An access list.
#[derive(Debug, PartialEq, Eq)]
pub struct List(Vec<(Tag, u16, u32)>);

impl List {
    /// What a grant makes of something with this mode: those who are named get `rights`. Owner and
    /// owning group keep what they have; others get nothing, because a default list switches the
    /// umask off. `group` is what the owning group has by the present list.
    pub fn new(ask: &GrantAccess, mode: u32, rights: u16, group: Option<u16>) -> Self {
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

    /// The same list, with these rights for all others.
    #[must_use]
    pub fn with_others(mut self, rights: u16) -> Self {
        let others = self.0.iter_mut().filter(|(tag, ..)| *tag == Tag::Other);
        others.for_each(|entry| entry.1 = rights);
        self
    }

    /// Owner and these accounts have these rights, all others none.
    pub fn of_accounts(owner: u16, uids: &[u32], rights: u16) -> Self {
        let mut entries = vec![
            (Tag::Owner, owner, NOBODY),
            (Tag::OwningGroup, 0, NOBODY),
            (Tag::Mask, rights, NOBODY),
            (Tag::Other, 0, NOBODY),
        ];
        entries.extend(uids.iter().map(|&uid| (Tag::User, rights, uid)));
        entries.sort_by_key(|&(tag, _, id)| (tag, id));
        entries.dedup();
        Self(entries)
    }

    /// The list that something has; `None` when there is but a mode.
    pub fn read(handle: &OwnedFd, kind: &CStr) -> Option<Self> {
        let mut buffer = vec![0_u8; 64 * 1024];
        let length = sys::getxattr(place(handle), kind, &mut buffer[..]).ok()?;
        let entries = buffer.get(4..length)?.chunks_exact(8).map(|entry| {
            let entry: [u8; 8] = entry.try_into().ok()?;
            let tag = u16::from_le_bytes([entry[0], entry[1]]);
            let tag = Tag::ALL.into_iter().find(|known| *known as u16 == tag)?;
            let rights = u16::from_le_bytes([entry[2], entry[3]]);
            let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            Some((tag, rights, id))
        });
        entries.collect::<Option<_>>().map(Self)
    }

    /// Whether it gives the accounts and groups in `wanted` their rights, names no others, and gives others
    /// nothing. What is made in a folder with a default list begins with more, behind a mask.
    pub fn serves(&self, wanted: &Self) -> bool {
        let named = |list: &Self| -> Vec<(Tag, u32, u16)> {
            let mask = list.rights(Tag::Mask, NOBODY).unwrap_or(ALL);
            let entries = list.0.iter().filter(|(_, _, id)| *id != NOBODY);
            entries
                .map(|&(tag, rights, id)| (tag, id, rights & mask))
                .collect()
        };
        let (have, want) = (named(self), named(wanted));
        let serves = |(have, want): (&(Tag, u32, u16), &(Tag, u32, u16))| {
            (have.0, have.1) == (want.0, want.1) && have.2 & want.2 == want.2
        };
        have.len() == want.len()
            && have.iter().zip(&want).all(serves)
            && self.rights(Tag::Other, NOBODY) == Some(0)
    }

    /// Sets it unless it is the one that is there; tells whether it did.
    pub fn set(&self, handle: &OwnedFd, path: &Path, kind: &CStr) -> Result<bool, Fault> {
        if Self::read(handle, kind).is_some_and(|old| old == *self) {
            return Ok(false);
        }
        sys::setxattr(place(handle), kind, &self.encode(), XattrFlags::empty())
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

    /// What the owning group may do. With a list, the mode's middle digit is the list's mask and says
    /// nothing of the group.
    pub fn owning_group(&self) -> Option<u16> {
        self.rights(Tag::OwningGroup, NOBODY)
    }

    /// What an account other than the owner may do. `groups` are all its groups, `group` is the owning one.
    pub fn rights_of(&self, uid: u32, groups: &[u32], group: u32) -> u16 {
        let mask = self.rights(Tag::Mask, NOBODY).unwrap_or(ALL);
        if let Some(rights) = self.rights(Tag::User, uid) {
            return rights & mask;
        }
        let as_owner = groups.contains(&group).then(|| self.owning_group());
        let named = groups.iter().map(|&gid| self.rights(Tag::Group, gid));
        let of_groups = named
            .chain(as_owner)
            .flatten()
            .reduce(std::ops::BitOr::bitor);
        match of_groups {
            Some(rights) => rights & mask,
            None => self.rights(Tag::Other, NOBODY).unwrap_or(0),
        }
    }

    /// The accounts that it names.
    pub fn uids(&self) -> impl Iterator<Item = u32> {
        self.named(Tag::User)
    }

    /// The groups that it names.
    pub fn gids(&self) -> impl Iterator<Item = u32> {
        self.named(Tag::Group)
    }

    fn named(&self, tag: Tag) -> impl Iterator<Item = u32> {
        let entries = self.0.iter();
        entries
            .filter(move |entry| entry.0 == tag)
            .map(|entry| entry.2)
    }

    fn rights(&self, tag: Tag, id: u32) -> Option<u16> {
        let mut entries = self.0.iter();
        let found = entries.find(|entry| entry.0 == tag && (entry.2 == id || id == NOBODY));
        found.map(|entry| entry.1)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for &(tag, rights, id) in &self.0 {
            bytes.extend((tag as u16).to_le_bytes());
            bytes.extend(rights.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }
}

/// Goes through `/proc`: a handle opened without reading neither waits at a pipe nor wakes a device, but
/// takes no attributes itself.
fn place(handle: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

/// The three bits of a mode above the lowest `shift`.
pub fn bits(mode: u32, shift: u32) -> u16 {
    ((mode >> shift) & 7) as u16
}

#[cfg(test)]
mod tests {
    use crate::acl::list::*;

    fn ask() -> GrantAccess {
        GrantAccess {
            roots: Vec::new(),
            uids: vec![7],
            gids: vec![70],
            owners: Vec::new(),
            reads_only: false,
        }
    }

    type Change<'a> = dyn Fn(&mut Vec<(Tag, u16, u32)>) + 'a;

    #[test]
    fn serves_whom_it_names_with_no_less_and_nobody_else() {
        let wanted = || List::new(&ask(), 0o100_640, READ | WRITE, None);
        assert!(wanted().serves(&wanted()));
        let changed = |change: &Change<'_>| {
            let mut list = wanted();
            change(&mut list.0);
            list.serves(&wanted())
        };
        let set = |tag, rights| {
            changed(&move |all| {
                let entries = all.iter_mut().filter(|entry| entry.0 == tag);
                entries.for_each(|entry| entry.1 = rights);
            })
        };
        // More, as new files begin with.
        assert!(set(Tag::User, ALL) && set(Tag::Group, ALL) && set(Tag::Mask, ALL));
        assert!(set(Tag::Owner, 0) && set(Tag::OwningGroup, 0));
        assert!(!set(Tag::User, READ) && !set(Tag::Group, WRITE));
        assert!(!set(Tag::Mask, READ), "behind a mask");
        assert!(!set(Tag::Other, READ), "others get something");
        assert!(!set(Tag::Other, EXECUTE), "others get something");
        let without = |tag| changed(&move |all| all.retain(|entry| entry.0 != tag));
        assert!(!without(Tag::User) && !without(Tag::Group) && !without(Tag::Other));
        let with = |tag, id| {
            changed(&move |all| {
                all.push((tag, READ, id));
                all.sort_by_key(|&(tag, _, id)| (tag, id));
            })
        };
        assert!(
            !with(Tag::User, 8) && !with(Tag::Group, 71),
            "somebody else"
        );
        let another = changed(&|all| {
            let entry = all.iter_mut().find(|entry| entry.0 == Tag::User);
            entry.unwrap().2 = 8;
        });
        assert!(!another, "somebody else instead");
    }

    #[test]
    fn tells_what_somebody_may_do() {
        let list = List::new(&ask(), 0o100_640, READ | WRITE, None);
        assert_eq!(list.rights_of(7, &[], 1), READ | WRITE);
        assert_eq!(list.rights_of(8, &[70], 1), READ | WRITE);
        assert_eq!(list.rights_of(8, &[1], 1), READ);
        assert_eq!(list.rights_of(8, &[2], 1), 0);
        let mut masked = list;
        for entry in &mut masked.0 {
            if entry.0 == Tag::Mask {
                entry.1 = 0;
            }
        }
        assert_eq!(masked.rights_of(7, &[], 1), 0, "the mask counts");
    }
}
