//! Gives accounts and groups access to trees by POSIX access lists. Follows no link, crosses no
//! mount, and leaves files alone that are also somewhere else: their list is shared with that other
//! place.

mod look;
mod paths;
mod sockets;
mod walk;

pub(crate) use {look::look, paths::look_at_paths, sockets::open_sockets};

use cid_kernel::acl::{ACCESS, ALL, DEFAULT, EXECUTE, List, READ, WRITE, bits};
use cid_protocol::{
    fault::Fault,
    request::{GrantAccess, Granted, SkipReason},
};
use rustix::fs::FileType;
use walk::{Met, Visit, walk};

/// Gives access to all roots and what is in them.
///
/// # Errors
/// A root cannot be opened, or the file system keeps no access lists.
pub(crate) fn grant(ask: &GrantAccess) -> Result<Granted, Fault> {
    let mut granted = Granted::default();
    for root in &ask.roots {
        let mut changed = 0;
        let skipped = walk(root, &mut |met| visit(ask, met, &mut changed))?;
        granted.changed += changed;
        granted.skipped.extend(skipped);
    }
    Ok(granted)
}

fn visit(ask: &GrantAccess, met: &Met<'_>, changed: &mut u64) -> Result<Visit, Fault> {
    let is_folder = met.is(FileType::Directory);
    if !is_folder && !met.is(FileType::RegularFile) {
        return Ok(Visit::Seen);
    }
    if !is_folder && met.stat.stx_nlink > 1 {
        return Ok(Visit::Skip(SkipReason::HardLinks));
    }
    let owner = met.stat.stx_uid;
    if !ask.owners.is_empty() && !ask.owners.contains(&owner) {
        return Ok(Visit::Skip(SkipReason::Stranger(owner)));
    }
    let present = List::read(met.handle, ACCESS);
    if present.is_none() && is_for_owner_alone(ask, owner) && !has_default(met) {
        return Ok(Visit::Seen);
    }
    let group = present.as_ref().and_then(List::owning_group);
    let list = List::new(ask, met.mode(), rights(ask, met), group);
    if !is_folder && present.is_some_and(|present| present.serves(&list)) {
        return Ok(Visit::Seen);
    }
    let mut is_new = list.set(met.handle, met.path, ACCESS)?;
    if is_folder {
        is_new |= list.set(met.handle, met.path, DEFAULT)?;
    }
    *changed += u64::from(is_new);
    Ok(Visit::Seen)
}

/// Nobody else is named, so that what has no list needs none.
fn is_for_owner_alone(ask: &GrantAccess, owner: u32) -> bool {
    ask.gids.is_empty() && ask.uids.iter().all(|uid| *uid == owner)
}

fn has_default(met: &Met<'_>) -> bool {
    met.is(FileType::Directory) && List::read(met.handle, DEFAULT).is_some()
}

/// What those who are named may do with it.
fn rights(ask: &GrantAccess, met: &Met<'_>) -> u16 {
    let all = match met.is(FileType::Directory) {
        true => ALL,
        false => READ | WRITE | (bits(met.mode(), 6) & EXECUTE),
    };
    match ask.reads_only {
        true => all & !WRITE,
        false => all,
    }
}
