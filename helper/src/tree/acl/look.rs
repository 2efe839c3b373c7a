//! Finds what a workspace's own user cannot use of what others made in its tree.

use crate::tree::acl::walk::{Met, Visit, shown, walk};
use cid_kernel::acl::{ACCESS, ALL, DEFAULT, List, READ, bits};
use cid_protocol::{
    fault::Fault,
    request::{AccessReport, LookAtAccess},
};
use rustix::fs::FileType;
use std::os::fd::OwnedFd;

const MAX_EXAMPLES: usize = 5;

/// Looks at the whole tree and changes nothing.
///
/// # Errors
/// The root cannot be opened, or something cannot be looked at.
pub(crate) fn look(ask: &LookAtAccess) -> Result<AccessReport, Fault> {
    let mut report = AccessReport::default();
    walk(&ask.root, &mut |met| {
        if met.path == ask.root {
            let folder = |uid| rights(met, uid, &[]) == ALL;
            report.lacks_people = !ask.people.is_none_or(folder);
            note_others(ask, met, &mut report);
        }
        if is_closed(ask, met) {
            report.closed += 1;
            if report.examples.len() < MAX_EXAMPLES {
                report.examples.push(shown(met.path));
            }
        }
        Ok(Visit::Seen)
    })?;
    Ok(report)
}

/// Accounts named at the root are named in all that is in it: lists are given to whole trees.
fn note_others(ask: &LookAtAccess, met: &Met<'_>, report: &mut AccessReport) {
    let lists = [ACCESS, DEFAULT].map(|kind| List::read(met.handle, kind));
    for list in lists.iter().flatten() {
        let others = list
            .uids()
            .filter(|&uid| uid != ask.uid && Some(uid) != ask.people);
        report.other_uids.extend(others);
        let others = list.gids().filter(|gid| !ask.sharing.contains(gid));
        report.other_gids.extend(others);
    }
}

/// What belongs to the workspace is as the workspace made it; all else it must be able to read, and to
/// put things into folders.
fn is_closed(ask: &LookAtAccess, met: &Met<'_>) -> bool {
    let needed = match FileType::from_raw_mode(met.mode()) {
        FileType::Directory => ALL,
        FileType::RegularFile => READ,
        _ => return false,
    };
    if met.stat.stx_uid == ask.uid {
        return false;
    }
    rights(met, ask.uid, &ask.gids) & needed != needed
}

/// What an account other than its owner may do with it.
fn rights(met: &Met<'_>, uid: u32, groups: &[u32]) -> u16 {
    rights_by(met.handle, met.mode(), met.stat.stx_gid, uid, groups)
}

/// The same of something with this mode and owning group.
pub(super) fn rights_by(handle: &OwnedFd, mode: u32, group: u32, uid: u32, groups: &[u32]) -> u16 {
    match List::read(handle, ACCESS) {
        Some(list) => list.rights_of(uid, groups, group),
        None if groups.contains(&group) => bits(mode, 3),
        None => bits(mode, 0),
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::acl::look::*;
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{MetadataExt, PermissionsExt},
        path::Path,
    };

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn looked(root: &Path, uid: u32, gids: &[u32]) -> AccessReport {
        let ask = LookAtAccess {
            root: root.to_owned(),
            uid,
            gids: gids.to_vec(),
            people: None,
            sharing: Vec::new(),
        };
        look(&ask).unwrap()
    }

    #[test]
    fn what_others_made_must_be_usable_and_what_is_its_own_need_not_be() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let meta = fs::metadata(root).unwrap();
        let (me, group, other) = (meta.uid(), meta.gid(), meta.uid() + 12_345);
        set(root, 0o777);
        for (name, mode) in [
            ("closed", 0o600),
            ("read", 0o604),
            ("of-group", 0o640),
            ("write", 0o602),
        ] {
            fs::write(root.join(name), "").unwrap();
            set(&root.join(name), mode);
        }
        for (name, mode) in [("listed", 0o705), ("shared", 0o770)] {
            fs::create_dir(root.join(name)).unwrap();
            set(&root.join(name), mode);
        }
        let closed = |uid, gids: &[u32]| {
            let report = looked(root, uid, gids);
            let names = report
                .examples
                .iter()
                .map(|path| path.strip_prefix(root).unwrap());
            let mut names: Vec<_> = names
                .map(|name| name.to_str().unwrap().to_owned())
                .collect();
            names.sort();
            assert_eq!(report.closed, names.len() as u64);
            names
        };
        assert_eq!(closed(me, &[]), [""; 0], "its own");
        assert_eq!(
            closed(other, &[]),
            ["closed", "listed", "of-group", "shared", "write"]
        );
        assert_eq!(
            closed(other, &[group]),
            ["closed", "listed", "read", "write"]
        );
    }

    #[test]
    fn few_of_many_are_named_and_all_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        set(dir.path(), 0o777);
        for number in 0..9 {
            let file = dir.path().join(number.to_string());
            fs::write(&file, "").unwrap();
            set(&file, 0);
        }
        let other = fs::metadata(dir.path()).unwrap().uid() + 12_345;
        let report = looked(dir.path(), other, &[]);
        assert_eq!((report.closed, report.examples.len()), (9, MAX_EXAMPLES));
    }
}
