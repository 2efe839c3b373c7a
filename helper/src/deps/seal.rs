//! Seals an environment that is complete: takes the write bits of its files and folders away, so that ordinary tools
//! fail on it, and writes down what it looked like, so that one that was changed all the same is not handed on.
//!
//! Each entry that comes or goes changes its folder's time, so a check asks for folders alone. One that looks closer
//! reads their files' sizes and times as well.

use crate::tree::beneath::{CONFINED, FOLDER};
use cid_kernel::fs::sync_all_of;
use cid_protocol::{
    budget::{ENVIRONMENT_FOLDERS, Over},
    fault::Fault,
    request::{CheckPackages, Checked},
};
use rustix::{
    fs::{self as sys, AtFlags, Dir, FileType, Mode, OFlags, RawMode, Stat},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{BufWriter, Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// In the environment: a line for each of its folders.
const LIST: &str = ".cid-seal";
/// A list is at most so long, in bytes.
const LONGEST: u64 = 32 * 1024 * 1024;
/// Write bits of all.
const WRITE: RawMode = 0o222;

/// A folder as it was; times are nanoseconds since 1970.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    /// Relative to the environment.
    path: PathBuf,
    changed: i128,
    /// Of all its files together.
    bytes: u64,
    /// When the newest of its files was changed.
    newest: i128,
}

/// Seals it, and syncs its file system: what says that it is complete must not outlive it in a power cut.
///
/// # Errors
/// It cannot be read or changed, or has too many folders.
pub(super) fn seal(target: &Path) -> Result<(), Fault> {
    let failed = |error| Fault::io("seal", target, error);
    let root = sys::open(target, FOLDER, Mode::empty()).map_err(failed)?;
    // Before its folder is looked at, which it changes.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let list = sys::openat(&root, LIST, flags, Mode::from_raw_mode(0o444)).map_err(failed)?;
    let mut list = BufWriter::new(File::from(list));
    let mut left = vec![PathBuf::new()];
    let mut count = 0;
    while let Some(path) = left.pop() {
        count += 1;
        ENVIRONMENT_FOLDERS
            .check(count, target.display())
            .map_err(|over| Fault::new(over.to_string()).hint(Over::HINT))?;
        let (folder, inner) = look(&root, path, true).map_err(failed)?;
        let Folder {
            path,
            changed,
            bytes,
            newest,
        } = folder;
        left.extend(inner.iter().map(|name| path.join(name)));
        let written = write!(list, "{changed} {bytes} {newest} ")
            .and_then(|()| list.write_all(path.as_os_str().as_bytes()))
            .and_then(|()| list.write_all(b"\0"));
        written.map_err(|error| Fault::io("seal", target, error))?;
    }
    list.flush()
        .map_err(|error| Fault::io("seal", target, error))?;
    sync_all_of(target)
}

/// Says whether it is as it was sealed.
///
/// # Errors
/// It cannot be looked at.
pub(super) fn check(ask: &CheckPackages) -> Result<Checked, Fault> {
    let damage = match find_damage(&ask.target, ask.closely) {
        Ok(damage) => damage,
        Err(Errno::NOENT) => Some("it is gone".to_owned()),
        Err(error) => return Err(Fault::io("look at", &ask.target, error)),
    };
    Ok(Checked { damage })
}

fn find_damage(target: &Path, closely: bool) -> Result<Option<String>, Errno> {
    let root = sys::open(target, FOLDER, Mode::empty())?;
    let Some(list) = read_list(&root)? else {
        return Ok(Some(format!("{LIST} in it is gone or broken")));
    };
    for was in list {
        let path = was.path.clone();
        let is = match closely {
            false => stat_of(&root, &path).map(|stat| changed(&stat) == was.changed),
            true => look(&root, path, false).map(|(folder, _)| folder == was),
        };
        match is {
            Ok(true) => {}
            Ok(false) => return Ok(Some(format!("{} has changed", shown(&was.path)))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                return Ok(Some(format!("{} is gone", shown(&was.path))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn shown(path: &Path) -> String {
    match path.as_os_str().is_empty() {
        true => "its folder".to_owned(),
        false => path.display().to_string(),
    }
}

/// `None`: there is no seal, or it cannot be understood.
fn read_list(root: &OwnedFd) -> Result<Option<Vec<Folder>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match sys::openat(root, LIST, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    if file.take(LONGEST).read_to_end(&mut text).is_err() {
        return Ok(None);
    }
    let folder = |line: &[u8]| {
        let mut parts = line.splitn(4, |&byte| byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok();
        let (changed, bytes, newest) = (number()?, number()?, number()?);
        Some(Folder {
            changed: changed.parse().ok()?,
            bytes: bytes.parse().ok()?,
            newest: newest.parse().ok()?,
            path: OsStr::from_bytes(parts.next()?).into(),
        })
    };
    let Some(lines) = text.strip_suffix(b"\0") else {
        return Ok(None);
    };
    Ok(lines.split(|&byte| byte == b'\0').map(folder).collect())
}

/// A folder as it is, with the names of the folders in it. Those that build scripts made, too, are opened without
/// following a link.
fn look(root: &OwnedFd, path: PathBuf, seals: bool) -> Result<(Folder, Vec<PathBuf>), Errno> {
    let fd = sys::openat2(root, here(&path), FOLDER, Mode::empty(), CONFINED)?;
    let stat = sys::fstat(&fd)?;
    let mut folder = Folder {
        path,
        changed: changed(&stat),
        bytes: 0,
        newest: 0,
    };
    let mut inner = Vec::new();
    for entry in Dir::read_from(&fd)? {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let stat = sys::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => inner.push(OsStr::from_bytes(name.to_bytes()).into()),
            FileType::RegularFile if name.to_bytes() != LIST.as_bytes() => {
                folder.bytes += stat.st_size.cast_unsigned();
                folder.newest = folder.newest.max(changed(&stat));
                // One that is elsewhere as well is not the environment's alone.
                if seals && stat.st_nlink == 1 && stat.st_mode & WRITE != 0 {
                    sys::chmodat(&fd, name, without_write(&stat), AtFlags::empty())?;
                }
            }
            _ => {}
        }
    }
    if seals {
        sys::fchmod(&fd, without_write(&stat))?;
    }
    Ok((folder, inner))
}

fn stat_of(root: &OwnedFd, path: &Path) -> Result<Stat, Errno> {
    let stat = sys::statat(root, here(path), AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok(stat),
        _ => Err(Errno::NOTDIR),
    }
}

fn here(path: &Path) -> &Path {
    match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    }
}

fn without_write(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & !WRITE)
}

fn changed(stat: &Stat) -> i128 {
    i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    fn sealed() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("one");
        fs::create_dir_all(target.join("lib/django/conf")).unwrap();
        fs::create_dir(target.join("bin")).unwrap();
        fs::write(target.join("lib/django/conf/a.py"), "a = 1\n").unwrap();
        fs::write(target.join("lib/django/b.py"), "b = 1\n").unwrap();
        symlink("/usr/bin/python3", target.join("bin/python")).unwrap();
        seal(&target).unwrap();
        dir
    }

    fn damage(dir: &tempfile::TempDir, closely: bool) -> Option<String> {
        let target = dir.path().join("one");
        check(&CheckPackages { target, closely }).unwrap().damage
    }

    #[test]
    fn what_is_sealed_has_no_write_bits_and_is_as_it_was() {
        let dir = sealed();
        for path in [
            "",
            "bin",
            "lib",
            "lib/django/conf",
            "lib/django/conf/a.py",
            LIST,
        ] {
            let meta = fs::metadata(dir.path().join("one").join(path)).unwrap();
            assert_eq!(meta.mode() & WRITE, 0, "{path}");
        }
        let python = fs::metadata("/usr/bin/python3").unwrap();
        assert_ne!(
            python.mode() & WRITE,
            0,
            "what a link leads to is left alone"
        );
        assert_eq!((damage(&dir, false), damage(&dir, true)), (None, None));
    }

    #[test]
    fn each_sort_of_damage_is_seen() {
        type Harm = fn(&Path);
        let harms: &[(&str, bool, Harm)] = &[
            ("lib/django/conf has changed", false, |one| {
                fs::remove_file(one.join("lib/django/conf/a.py")).unwrap();
            }),
            ("lib/django has changed", false, |one| {
                fs::write(one.join("lib/django/new.py"), "").unwrap();
            }),
            ("lib/django is gone", false, |one| {
                fs::rename(one.join("lib/django"), one.join("lib/other")).unwrap();
                // Its time is what it was.
                let list = fs::read(one.join(LIST)).unwrap();
                let lib = fs::metadata(one.join("lib")).unwrap();
                let text = String::from_utf8(list).unwrap();
                let mut lines: Vec<String> = text.split('\0').map(str::to_owned).collect();
                let line = lines
                    .iter_mut()
                    .find(|line| line.ends_with(" lib"))
                    .unwrap();
                let changed =
                    i128::from(lib.mtime()) * 1_000_000_000 + i128::from(lib.mtime_nsec());
                *line = format!("{changed} 0 0 lib");
                fs::write(one.join(LIST), lines.join("\0")).unwrap();
            }),
            ("bin has changed", false, |one| {
                fs::remove_file(one.join("bin/python")).unwrap();
                symlink("/bin/true", one.join("bin/python")).unwrap();
            }),
            ("it is gone", false, |one| fs::remove_dir_all(one).unwrap()),
            (".cid-seal in it is gone or broken", false, |one| {
                fs::remove_file(one.join(LIST)).unwrap();
            }),
            (".cid-seal in it is gone or broken", false, |one| {
                fs::write(one.join(LIST), "5 5 5 lib\0x").unwrap();
            }),
            ("lib/django/conf has changed", true, |one| {
                fs::write(one.join("lib/django/conf/a.py"), "a = 2\n").unwrap();
            }),
        ];
        for (expected, closely, harm) in harms {
            let dir = sealed();
            let one = dir.path().join("one");
            // As a person may, and root always can.
            for path in [
                "",
                "bin",
                "lib",
                "lib/django",
                "lib/django/conf",
                "lib/django/conf/a.py",
                LIST,
            ] {
                let path = one.join(path);
                let mut mode = fs::metadata(&path).unwrap().permissions();
                std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
                fs::set_permissions(&path, mode).unwrap();
            }
            harm(&one);
            assert_eq!(damage(&dir, *closely).as_deref(), Some(*expected));
        }
    }
}
