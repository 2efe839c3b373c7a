//! Finds what a workspace's own user cannot use of what others made in its tree.

use super::{
    list::{ACCESS, ALL, DEFAULT, List, READ, bits},
    walk::{Met, Visit, shown, walk},
};
use crate::{
    helper::request::{AccessReport, LookAtAccess},
    system::fault::Fault,
};
use rustix::fs::FileType;
use std::os::fd::OwnedFd;

const MAX_EXAMPLES: usize = 5;

/// Looks at the whole tree and changes nothing.
///
/// # Errors
/// The root cannot be opened, or something cannot be looked at.
pub(in crate::helper) fn look(ask: &LookAtAccess) -> Result<AccessReport, Fault> {
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

/// Who is named at the root is named in all that is in it: lists are given to whole trees.
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

/// What somebody who is not its owner may do with it.
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
