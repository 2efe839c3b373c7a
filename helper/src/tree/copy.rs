//! Copies the operator's files into a tree.

use crate::tree::beneath::{FOLDER, Root};
use cid_protocol::fault::Fault;
use rustix::fs::{self as sys, FileType, Mode, OFlags};
use std::{
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

/// Copies a file or folder to a free place, whole or not at all. Links are copied as links; what
/// is neither file, folder nor link is left out.
pub(super) fn copy(tree: &Root, source: &Path, target: &Path) -> Result<(), Fault> {
    let (parent, name) = tree.split(target)?;
    let folder = tree.make_folder(&parent)?;
    let temporary = tree.free_temporary(&folder, target)?;
    let beside = parent.join(temporary);
    let mut waiting = vec![(source.to_owned(), beside)];
    while let Some((from, to)) = waiting.pop() {
        one(tree, &from, &to, &mut waiting)?;
    }
    tree.rename(&folder, temporary, &name, target)
}

fn one(
    tree: &Root,
    from: &Path,
    to: &Path,
    waiting: &mut Vec<(PathBuf, PathBuf)>,
) -> Result<(), Fault> {
    let failed = |error: io::Error| Fault::io("copy", from, error);
    let meta = fs::symlink_metadata(from).map_err(failed)?;
    match FileType::from_raw_mode(std::os::unix::fs::MetadataExt::mode(&meta)) {
        FileType::Directory => {
            tree.make_folder(to)?;
            for entry in fs::read_dir(from).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                waiting.push((entry.path(), to.join(entry.file_name())));
            }
        }
        FileType::Symlink => {
            let (parent, name) = tree.split(to)?;
            let parent = tree
                .open_at(&parent, FOLDER, Mode::empty())
                .map_err(|e| tree.fault("open", to, e))?;
            let link = fs::read_link(from).map_err(failed)?;
            sys::symlinkat(link.as_os_str().as_bytes(), &parent, &name)
                .map_err(|e| tree.fault("link", to, e))?;
        }
        FileType::RegularFile => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            // Those who may execute it still may; who may write is for the umask to say.
            let mode = 0o666 | (meta.permissions().mode() & 0o111);
            let fd = tree
                .open_at(to, flags, Mode::from_raw_mode(mode))
                .map_err(|error| tree.fault("write", to, error))?;
            let mut source = File::open(from).map_err(failed)?;
            io::copy(&mut source, &mut File::from(fd)).map_err(failed)?;
        }
        _ => {}
    }
    Ok(())
}
