//! Copies what release commands have collected for nginx to a place of its own: out of the tree, which nginx
//! need not see.

use crate::tree::{
    beneath::{FOLDER, Root, TEMPORARY, plain_path},
    purge,
};
use cid_kernel::acl::{ACCESS, ALL, EXECUTE, List};
use cid_protocol::{
    budget::{Budget, STATIC_BYTES, STATIC_FILES},
    fault::Fault,
    request::{CollectStatic, Collected, STATIC_FOLDER},
};
use rustix::{
    fs::{self as sys, Dir, FileType, Mode, OFlags},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Never waits at a pipe, and follows no link.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NOCTTY);

/// Copies the folder, whole or not at all: plain files and folders whose names begin with no dot.
///
/// # Errors
/// It is no folder, a link leads to it, it is too large, or it cannot be copied.
pub(crate) fn collect(ask: &CollectStatic) -> Result<Collected, Fault> {
    let place = Root::open(&ask.place)?;
    let_in(&place, &ask.uids)?;
    purge::purge(&ask.place.join(TEMPORARY))?;
    let tree = Root::open(&ask.tree)?;
    let source = plain_path(&ask.source)?;
    let mut copy = Copy {
        tree,
        place,
        bytes: 0,
        entries: 0,
        collected: Collected::default(),
    };
    copy.collected.is_there = copy.tree.kind(&source)?.is_some();
    if copy.collected.is_there {
        copy.all(&source).inspect_err(|_| {
            // The next one removes it as well.
            let _ = purge::purge(&ask.place.join(TEMPORARY));
        })?;
    }
    let serves = ask.place.join(STATIC_FOLDER);
    match copy.collected.is_there {
        false => purge::purge(&serves).map(drop)?,
        true => copy.put_in_place(&serves)?,
    }
    Ok(copy.collected)
}

/// Only these accounts get in, and list nothing. Inside all may read.
fn let_in(place: &Root, uids: &[u32]) -> Result<(), Fault> {
    if uids.is_empty() {
        return Ok(());
    }
    let list = List::of_accounts(ALL, uids, EXECUTE);
    let handle = place
        .open_at(
            Path::new(""),
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .map_err(|error| place.fault("open", Path::new(""), error))?;
    list.set(&handle, place.path(), ACCESS).map(drop)
}

struct Copy {
    tree: Root,
    place: Root,
    bytes: u64,
    entries: u64,
    collected: Collected,
}

impl Copy {
    fn all(&mut self, source: &Path) -> Result<(), Fault> {
        let mut waiting = vec![(source.to_owned(), PathBuf::from(TEMPORARY))];
        while let Some((from, to)) = waiting.pop() {
            let folder = self
                .tree
                .open_at(&from, FOLDER, Mode::empty())
                .map_err(|error| self.tree.fault("read the folder", &from, error))?;
            let made = self.place.make_folder(&to)?;
            sys::fchmod(&made, Mode::from_raw_mode(0o755))
                .map_err(|error| self.place.fault("open to nginx", &to, error))?;
            let entries =
                Dir::new(folder).map_err(|error| self.tree.fault("list", &from, error))?;
            for entry in entries {
                let entry = entry.map_err(|error| self.tree.fault("list", &from, error))?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if [".", ".."].map(OsStr::new).contains(&name) {
                    continue;
                }
                let (from, to) = (from.join(name), to.join(name));
                self.entries += 1;
                self.count(&STATIC_FILES, self.entries)?;
                let kind = self.tree.kind(&from)?;
                if name.as_bytes().starts_with(b".") {
                    self.collected.left_out += 1;
                    continue;
                }
                match kind {
                    Some(FileType::Directory) => waiting.push((from, to)),
                    Some(FileType::RegularFile) => self.file(&from, &to)?,
                    Some(_) => self.collected.left_out += 1,
                    // Gone since it was listed.
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path) -> Result<(), Fault> {
        let source = match self.tree.open_at(from, READ, Mode::empty()) {
            Ok(source) => File::from(source),
            Err(Errno::NOENT | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(self.tree.fault("read", from, error)),
        };
        let failed = |error: io::Error| Fault::io("copy", from, error);
        // Another kind of thing may have taken its place.
        let meta = source.metadata().map_err(failed)?;
        if !meta.is_file() {
            self.collected.left_out += 1;
            return Ok(());
        }
        // Before a huge one is copied, and then no more of one that grows.
        self.count(&STATIC_BYTES, self.bytes + meta.len())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let target = self
            .place
            .open_at(to, flags, Mode::from_raw_mode(0o644))
            .map_err(|error| self.place.fault("write", to, error))?;
        sys::fchmod(&target, Mode::from_raw_mode(0o644))
            .map_err(|error| self.place.fault("open to nginx", to, error))?;
        let copied = io::copy(&mut source.take(meta.len()), &mut File::from(target));
        self.bytes += copied.map_err(failed)?;
        self.collected.files += 1;
        Ok(())
    }

    fn count(&self, most: &'static Budget, amount: u64) -> Result<(), Fault> {
        let amount = usize::try_from(amount).unwrap_or(usize::MAX);
        Ok(most.check(amount, "the collected static files")?)
    }

    /// The old ones answer until the new ones do.
    fn put_in_place(&self, serves: &Path) -> Result<(), Fault> {
        use sys::{RenameFlags, renameat_with};
        let swap = |flags| renameat_with(&self.place, TEMPORARY, &self.place, STATIC_FOLDER, flags);
        match swap(RenameFlags::EXCHANGE) {
            Ok(()) => purge::purge(&self.place.path().join(TEMPORARY)).map(drop),
            Err(Errno::NOENT) => swap(RenameFlags::NOREPLACE)
                .map_err(|error| Fault::io("put in place", serves, error)),
            Err(error) => Err(Fault::io("put in place", serves, error)),
        }
    }
}
