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
    request::{CollectStatic, Collected, STATIC_FOLDER, ShowStatic, waiting_static},
};
use rustix::{
    fs::{self as sys, Dir, FileType, Mode, OFlags, RenameFlags},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write as _},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// In collected files that wait or waited: the number of their instance. nginx serves no hidden name.
const MARK: &str = ".cid-instance";

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
        // None wait as well: those of the instance before are not this one's.
        _ if let Some(instance) = ask.instance => copy.have_wait(instance)?,
        false => purge::purge(&serves).map(drop)?,
        true => copy.put_in_place(&serves)?,
    }
    Ok(copy.collected)
}

/// Has nginx serve an instance's files, which wait, or those of the one before again. Which are served says a mark in them.
///
/// # Errors
/// The folders cannot be exchanged.
pub(crate) fn show(ask: &ShowStatic) -> Result<(), Fault> {
    let place = Root::open(&ask.place)?;
    let waiting = PathBuf::from(waiting_static(ask.instance));
    let is_shown = mark(&place, Path::new(STATIC_FOLDER)) == Some(ask.instance);
    if is_shown != ask.back {
        return Ok(());
    }
    let failed = |error| Fault::io("show", &ask.place.join(&waiting), error);
    let rename =
        |from: &Path, to: &Path, flags| sys::renameat_with(&place, from, &place, to, flags);
    let shown = Path::new(STATIC_FOLDER);
    match (
        place.kind(&waiting)?.is_some(),
        place.kind(shown)?.is_some(),
    ) {
        (true, true) => rename(&waiting, shown, RenameFlags::EXCHANGE).map_err(failed),
        (true, false) => rename(&waiting, shown, RenameFlags::NOREPLACE).map_err(failed),
        // There were none before.
        (false, true) if ask.back => {
            rename(shown, &waiting, RenameFlags::NOREPLACE).map_err(failed)
        }
        // They could not be collected.
        (false, _) => Ok(()),
    }
}

/// The instance whose files these are.
fn mark(place: &Root, folder: &Path) -> Option<u32> {
    let mark = place
        .open_at(&folder.join(MARK), READ, Mode::empty())
        .ok()?;
    let mut text = String::new();
    File::from(mark).take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
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

    /// Until they are shown.
    fn have_wait(&self, instance: u32) -> Result<(), Fault> {
        let waiting = PathBuf::from(waiting_static(instance));
        if !self.collected.is_there {
            let made = self.place.make_folder(Path::new(TEMPORARY))?;
            sys::fchmod(&made, Mode::from_raw_mode(0o755)).map_err(|error| {
                self.place
                    .fault("open to nginx", Path::new(TEMPORARY), error)
            })?;
        }
        let mark = Path::new(TEMPORARY).join(MARK);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = self
            .place
            .open_at(&mark, flags, Mode::from_raw_mode(0o644))
            .map_err(|error| self.place.fault("write", &mark, error))?;
        let failed = |error: io::Error| Fault::io("write", &mark, error);
        File::from(file)
            .write_all(instance.to_string().as_bytes())
            .map_err(failed)?;
        purge::purge(&self.place.path().join(&waiting))?;
        sys::renameat_with(
            &self.place,
            TEMPORARY,
            &self.place,
            &waiting,
            RenameFlags::NOREPLACE,
        )
        .map_err(|error| Fault::io("put in place", &waiting, error))
    }

    /// The old ones answer until the new ones do.
    fn put_in_place(&self, serves: &Path) -> Result<(), Fault> {
        use sys::renameat_with;
        let swap = |flags| renameat_with(&self.place, TEMPORARY, &self.place, STATIC_FOLDER, flags);
        match swap(RenameFlags::EXCHANGE) {
            Ok(()) => purge::purge(&self.place.path().join(TEMPORARY)).map(drop),
            Err(Errno::NOENT) => swap(RenameFlags::NOREPLACE)
                .map_err(|error| Fault::io("put in place", serves, error)),
            Err(error) => Err(Fault::io("put in place", serves, error)),
        }
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
