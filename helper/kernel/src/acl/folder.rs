//! Lets others into one folder without any access to what is in it.

use crate::acl::list::{ACCESS, EXECUTE, List, READ, bits};
use cid_protocol::{fault::Fault, request::GrantAccess};
use rustix::fs::{Mode, OFlags, fstat, open};
use std::path::Path;

/// Lets exactly these accounts and groups list the folder and pass through it. Drops all other named entries;
/// others keep what they have.
///
/// # Errors
/// It cannot be opened, or its file system keeps no access lists.
pub fn admit(folder: &Path, uids: &[u32], gids: &[u32]) -> Result<(), Fault> {
    let cannot = |error| Fault::io("open", folder, error);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = open(folder, flags, Mode::empty()).map_err(cannot)?;
    let mode = fstat(&handle).map_err(cannot)?.st_mode;
    let named = GrantAccess {
        uids: uids.to_vec(),
        gids: gids.to_vec(),
        ..GrantAccess::default()
    };
    let group = List::read(&handle, ACCESS).and_then(|list| list.owning_group());
    let list = List::new(&named, mode, READ | EXECUTE, group).with_others(bits(mode, 0));
    list.set(&handle, folder, ACCESS).map(drop)
}
