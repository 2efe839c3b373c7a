//! Lets others connect to the sockets that will be made in a folder.

use cid_kernel::acl::{ACCESS, ALL, DEFAULT, EXECUTE, List, READ, WRITE};
use cid_protocol::{fault::Fault, request::OpenSockets};
use rustix::fs::{Mode, OFlags, open};

/// Lets the named accounts pass through the folder and use what is made in it.
///
/// # Errors
/// The folder cannot be opened, or its file system keeps no access lists.
pub(crate) fn open_sockets(ask: &OpenSockets) -> Result<(), Fault> {
    let OpenSockets { folder, uids } = ask;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle =
        open(folder, flags, Mode::empty()).map_err(|error| Fault::io("open", folder, error))?;
    let through = List::of_accounts(ALL, uids, EXECUTE);
    let connect = List::of_accounts(ALL, uids, READ | WRITE);
    through.set(&handle, folder, ACCESS)?;
    connect.set(&handle, folder, DEFAULT).map(drop)
}
