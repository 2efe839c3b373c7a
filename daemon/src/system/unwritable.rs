//! Why the daemon of a host cannot write where workspaces are to be.

use cid_protocol::fault::Fault;
use rustix::{fs as sys, io::Errno};
use std::path::Path;

/// Why the daemon of a host cannot write a folder of workspaces, with the command that lets it; `None`: it
/// can.
pub fn unwritable(dir: &Path) -> Option<Fault> {
    let shown = dir.display();
    if ["/home", "/root", "/run/user"]
        .iter()
        .any(|home| dir.starts_with(home))
    {
        let message = format!("{shown} is where cid's units see nothing");
        return Some(Fault::new(message).hint("choose a work_dir elsewhere"));
    }
    let error = sys::access(dir, sys::Access::WRITE_OK).err()?;
    let drop_in = format!(
        "systemctl edit cid.service, and write: [Service] ReadWritePaths={shown} (two lines); then: systemctl restart cid"
    );
    Some(match error {
        Errno::NOENT => Fault::new(format!("{shown} does not exist"))
            .hint(format!("mkdir -p {shown}; {drop_in}")),
        Errno::ROFS => Fault::new(format!("the daemon's unit may not write {shown}")).hint(drop_in),
        error => Fault::new(format!("cannot write {shown}: {error}"))
            .hint(format!("chown root: {shown}; chmod 755 {shown}")),
    })
}
