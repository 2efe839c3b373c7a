//! Removes what lives on when the last process of a user has ended, and is in no folder of its workspace: shared
//! memory, message queues, semaphores, and files in the folders for temporary ones.

use crate::{
    Lines, command,
    command::Code,
    tree::{
        beneath::{CONFINED, FOLDER},
        purge,
    },
};
use cid_kernel::sysvipc;
use cid_protocol::{
    environment::{Environment, PATH},
    fault::Fault,
};
use nix::unistd::Uid;
use rustix::fs::{self as sys, AtFlags, FileType, Mode, ResolveFlags};
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

/// Where everybody may put files; in the reaper's unit the last two are the apps' own.
const FOLDERS: [&str; 4] = ["/dev/shm", "/dev/mqueue", "/tmp", "/var/tmp"];
/// Others' folders in there are searched as well, to this depth and this number of entries in all.
const DEPTH: usize = 8;
const ENTRIES: usize = 200_000;
/// How many things that stay are named.
const NAMED: usize = 10;

/// Removes all of it. Returns the first of what could not be removed, and why: others may have put files of
/// their own into a folder of this user's, and that must not block a delete.
pub(super) fn remove(user: Uid, lines: Lines) -> Vec<String> {
    let mut sweep = Sweep {
        user: user.as_raw(),
        entries: 0,
        left: Vec::new(),
    };
    for folder in FOLDERS {
        sweep.folder(Path::new(folder));
    }
    sweep.objects(lines);
    sweep.left
}

struct Sweep {
    user: u32,
    entries: usize,
    left: Vec<String>,
}

impl Sweep {
    fn folder(&mut self, path: &Path) {
        match sys::open(path, FOLDER, Mode::empty()) {
            Ok(folder) => self.within(&folder, path, DEPTH),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => self.stays(Fault::io("look into", path, error)),
        }
    }

    fn within(&mut self, folder: &OwnedFd, path: &Path, depth: usize) {
        // Read by the descriptor: somebody may put another folder at the path.
        let Ok(entries) = fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())) else {
            return;
        };
        for name in entries.flatten().map(|entry| entry.file_name()) {
            self.entries += 1;
            if self.entries > ENTRIES {
                return;
            }
            let Ok(stat) = sys::statat(folder, &*name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let inner = path.join(&name);
            if stat.st_uid == self.user {
                if let Err(fault) = purge::remove_at(folder, &name, &inner) {
                    self.stays(fault);
                }
            } else if FileType::from_raw_mode(stat.st_mode) == FileType::Directory
                && depth > 0
                && let Some(below) = open_below(folder, &name)
            {
                self.within(&below, &inner, depth - 1);
            }
        }
    }

    fn objects(&mut self, lines: Lines) {
        let own = || {
            let mut all = sysvipc::all();
            all.retain(|object| [object.uid, object.creator].contains(&self.user));
            all
        };
        let objects = own();
        if objects.is_empty() {
            return;
        }
        let options = objects.iter();
        let options = options.flat_map(|object| [object.option.into(), object.id.clone().into()]);
        let argv: Vec<OsString> = ["ipcrm".into()].into_iter().chain(options).collect();
        let env = Environment::from([("PATH".into(), PATH.into()), ("LC_ALL".into(), "C".into())]);
        let ended = command::run(Code::Machines, &argv, &env, Path::new("/"), lines);
        let why = ended.err().map(|fault| fault.message);
        let why = why.as_deref().unwrap_or("ipcrm did not do it");
        for sysvipc::Object { kind, id, .. } in own() {
            self.stays(Fault::new(format!("cannot remove the {kind} {id}: {why}")));
        }
    }

    fn stays(&mut self, fault: Fault) {
        if self.left.len() < NAMED {
            self.left.push(fault.message);
        }
    }
}

/// On the same mount, through no link.
fn open_below(folder: &OwnedFd, name: &OsStr) -> Option<OwnedFd> {
    let resolve = CONFINED | ResolveFlags::NO_XDEV;
    sys::openat2(
        folder.as_fd(),
        name.as_bytes(),
        FOLDER,
        Mode::empty(),
        resolve,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use crate::leavings::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn removes_a_users_own_and_follows_no_link() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = outside.path().join("kept");
        fs::write(&kept, "").unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), "").unwrap();
        symlink(&kept, dir.path().join("link")).unwrap();
        symlink(outside.path(), dir.path().join("a/folder")).unwrap();
        let sweep = |user| {
            let (entries, left) = (0, Vec::new());
            let mut sweep = Sweep {
                user,
                entries,
                left,
            };
            sweep.folder(dir.path());
            assert_eq!(sweep.left, [""; 0]);
            fs::read_dir(dir.path()).unwrap().count()
        };
        let me = nix::unistd::geteuid().as_raw();
        assert_eq!(sweep(me + 1), 2, "another's");
        assert_eq!(sweep(me), 0);
        assert!(kept.exists());
    }
}
