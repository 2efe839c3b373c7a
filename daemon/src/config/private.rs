//! Files of the operator's that only the daemon reads.

use cid_protocol::fault::Fault;
use rustix::{
    fs::{self as sys, FileType, Mode, OFlags},
    io::Errno,
};
use std::{fs::File, io::Read, path::Path};

/// Reads a file with a secret, of at most `most` bytes.
///
/// # Errors
/// There is no such file, others than the daemon's own user could read or change it, it is longer, or it is no
/// text. The message never shows what it holds.
pub fn read_private(path: &Path, most: u64) -> Result<String, Fault> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = sys::open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP => Fault::io("open", path, "it is a link, which cid does not follow here")
            .hint("name the file itself"),
        error => Fault::io("open", path, error),
    })?;
    let stat = sys::fstat(&opened).map_err(|error| Fault::io("look at", path, error))?;
    let refuse = |why: &str| Fault::io("use", path, why);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refuse("it is no ordinary file"));
    }
    let me = nix::unistd::geteuid().as_raw();
    if stat.st_uid != me || stat.st_mode & 0o077 != 0 {
        let shown = path.display();
        return Err(refuse("others than cid's own user can read or change it").hint(format!(
            "chown {me}: {shown}; chmod 600 {shown}; if others have read it, have a new secret made"
        )));
    }
    let mut text = String::new();
    File::from(opened)
        .take(most + 1)
        .read_to_string(&mut text)
        .map_err(|error| Fault::io("read", path, error))?;
    match text.len() as u64 > most {
        true => Err(refuse(&format!("it is longer than {most} bytes"))),
        false => Ok(text),
    }
}
