//! Room on the file systems that cid writes to: how much there is, and what is kept aside for the way back.

use crate::fs;
use cid_protocol::fault::Fault;
use nix::sys::statvfs::statvfs;
use std::{
    fmt,
    fs::{File, remove_dir, remove_file},
    path::{Path, PathBuf},
};

const MIB: u64 = 1024 * 1024;
/// A workspace has some thousand files; with fewer to spare one does not fit.
const LEAST_FILES: u64 = 2000;

/// A file system has too little room.
#[derive(Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Something on it.
    path: PathBuf,
    lacks: Lacks,
}

#[derive(Debug, PartialEq, Eq)]
enum Lacks {
    /// MiB that are free, and that should be.
    Space(u64, u64),
    /// Files that it can still hold.
    Files(u64),
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.path.display();
        match self.lacks {
            Lacks::Space(free, least) => write!(
                f,
                "the disk of {shown} is full: {free} MiB of space are free, and {least} are to stay so"
            ),
            Lacks::Files(free) => write!(
                f,
                "the disk of {shown} is full: it has room for {free} more files, and {LEAST_FILES} are to stay so"
            ),
        }
    }
}

impl Shortage {
    /// What to do about it.
    pub const HINT: &str = "free some space there, or delete workspaces that nobody needs; min_free_mib in cid.toml is what stays free";
}

/// The first of these places whose file system has fewer MiB free than this, or no room for files; none when
/// nothing is to stay free. What does not exist is not looked at.
pub fn shortage(places: &[PathBuf], least_mib: u64) -> Option<Shortage> {
    if least_mib == 0 {
        return None;
    }
    places.iter().find_map(|place| {
        let stat = statvfs(place).ok()?;
        let free = stat.blocks_available() * stat.fragment_size() / MIB;
        let path = place.clone();
        if free < least_mib {
            let lacks = Lacks::Space(free, least_mib);
            return Some(Shortage { path, lacks });
        }
        // Some file systems do not count files.
        let files = stat.files_available();
        (stat.files() > 0 && files < LEAST_FILES).then_some(Shortage {
            path,
            lacks: Lacks::Files(files),
        })
    })
}

/// The reserve for helpers' units. systemd writes each unit on the file system of this folder of a host's
/// daemon; when it is full, nothing can be begun and nothing taken back. Kept like the ledger's reserve, but
/// on a host only.
pub fn of_units(run_dir: &Path) -> Reserve {
    Reserve::at(run_dir.join("reserve"))
}

/// Whether a few small files can still be written here, such as a helper's unit.
pub fn has_room(folder: &Path) -> bool {
    fs::free_bytes(folder).is_ok_and(|free| free >= MIB)
}

/// Space and files kept aside on one file system for when it is full: a folder with some files.
pub struct Reserve {
    folder: PathBuf,
}

impl Reserve {
    const BYTES: u64 = 2 * MIB;
    const FILES: u64 = 8;

    /// The reserve in this folder.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes it where it is missing and as much is left besides; says whether it is there.
    pub fn renew(&self) -> bool {
        if self.is_whole() {
            return true;
        }
        let parent = self.folder.parent().unwrap_or(&self.folder);
        let has_room = fs::free_bytes(parent).is_ok_and(|free| free >= 2 * Self::BYTES);
        if has_room && self.make().is_ok() {
            return true;
        }
        self.give_back();
        false
    }

    fn is_whole(&self) -> bool {
        let size = |path: PathBuf| path.metadata().map_or(0, |meta| meta.len());
        self.files().map(size).sum::<u64>() >= Self::BYTES
    }

    fn make(&self) -> Result<(), Fault> {
        fs::make_dir(&self.folder, 0o700)?;
        for path in self.files() {
            let made = File::create(&path).and_then(|file| {
                let flags = rustix::fs::FallocateFlags::empty();
                rustix::fs::fallocate(&file, flags, 0, Self::BYTES / Self::FILES)?;
                Ok(())
            });
            made.map_err(|error| Fault::io("make", &path, error))?;
        }
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        (0..Self::FILES).map(|number| self.folder.join(number.to_string()))
    }

    /// Gives it back to the file system.
    pub fn give_back(&self) {
        for path in self.files() {
            let _ = remove_file(path);
        }
        if remove_dir(&self.folder).is_ok() {
            tracing::warn!(
                "the disk is full: gave the reserve {} back",
                self.folder.display()
            );
        }
    }

    /// The same, if the file system is about to be full.
    pub fn ensure_room(&self) {
        let Ok(stat) = statvfs(&self.folder) else {
            return;
        };
        let free = stat.blocks_available() * stat.fragment_size();
        let lacks_files = stat.files() > 0 && stat.files_available() < Self::FILES;
        if free < Self::BYTES || lacks_files {
            self.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::room::*;

    #[test]
    fn tells_what_a_file_system_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let here = [dir.path().join("missing"), dir.path().to_owned()];
        assert_eq!(shortage(&here, 0), None);
        assert_eq!(shortage(&here[..1], u64::MAX / MIB), None);
        let told = shortage(&here, u64::MAX / MIB).unwrap().to_string();
        assert!(told.contains(" MiB of space are free"), "{told}");
        assert!(told.contains(&dir.path().display().to_string()), "{told}");
    }

    #[test]
    fn a_reserve_is_made_once_and_given_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::at(dir.path().join("reserve"));
        for _ in 0..2 {
            assert!(reserve.renew() && reserve.is_whole());
        }
        // There is plenty of room.
        reserve.ensure_room();
        assert!(reserve.is_whole());
        // Half of one is made whole.
        remove_file(dir.path().join("reserve/3")).unwrap();
        assert!(reserve.renew() && reserve.is_whole());
        reserve.give_back();
        assert_eq!(fs::names(dir.path()).unwrap(), [""; 0]);
    }
}
