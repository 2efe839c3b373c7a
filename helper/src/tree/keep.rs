//! Files that are written under another name first, and what is left of them.

use crate::tree::purge;
use cid_protocol::{
    fault::Fault,
    request::{KeepFile, KeepOnly, Purged},
};
use rustix::fs::{self as sys, AtFlags, CWD, Mode, OFlags, RenameFlags, renameat_with};
use std::{collections::BTreeSet, fs, io::ErrorKind, path::Path};

/// Gives a file or folder its name, once it is on disk; says whether it has it. It may have had it before.
///
/// # Errors
/// It cannot be looked at, written to disk or renamed.
pub(crate) fn keep_file(ask: &KeepFile) -> Result<bool, Fault> {
    if is_there(&ask.file)? {
        return Ok(true);
    }
    let Some(part) = ask
        .part
        .as_ref()
        .filter(|part| is_there(part).unwrap_or(true))
    else {
        return Ok(false);
    };
    let failed = |error| Fault::io("keep", part, error);
    // A folder's files are on disk with the file system.
    let opened = sys::open(part, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty());
    sys::syncfs(opened.map_err(failed)?).map_err(failed)?;
    renameat_with(CWD, part, CWD, &ask.file, RenameFlags::NOREPLACE).map_err(failed)?;
    let folder = ask.file.parent().unwrap_or(Path::new("/"));
    let folder = sys::open(folder, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
    sys::fsync(folder.map_err(failed)?).map_err(failed)?;
    Ok(true)
}

fn is_there(path: &Path) -> Result<bool, Fault> {
    match sys::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(Fault::io("look at", path, error)),
    }
}

/// Removes all that is in a folder, but for these names, and for the first and the last there is of `ends`.
///
/// # Errors
/// The folder cannot be read, or something cannot be removed.
pub(crate) fn keep_only(ask: &KeepOnly) -> Result<Purged, Fault> {
    let entries = match fs::read_dir(&ask.folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Purged::default()),
        entries => entries.map_err(|error| Fault::io("list", &ask.folder, error))?,
    };
    let mut kept: BTreeSet<&str> = ask.names.iter().map(String::as_str).collect();
    let mut there = Vec::new();
    for name in &ask.ends {
        if is_there(&ask.folder.join(name))? {
            there.push(name.as_str());
        }
    }
    kept.extend(there.first().into_iter().chain(there.last()));
    let mut all = Purged::default();
    for entry in entries {
        let entry = entry.map_err(|error| Fault::io("list", &ask.folder, error))?;
        let name = entry.file_name();
        if !kept.iter().any(|kept| name == *kept) {
            all.removed += purge::purge(&entry.path())?.removed;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_never_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let keep = |part: Option<PathBuf>| {
            keep_file(&KeepFile {
                part,
                file: path("copy"),
            })
        };
        assert!(!keep(None).unwrap());
        assert!(
            !keep(Some(path("copy.part"))).unwrap(),
            "nothing was written"
        );
        fs::write(path("copy.part"), "one").unwrap();
        assert!(!keep(None).unwrap(), "a half-written file does not count");
        assert!(keep(Some(path("copy.part"))).unwrap());
        // Whatever a second run would write.
        fs::write(path("copy.part"), "two").unwrap();
        assert!(keep(Some(path("copy.part"))).unwrap() && keep(None).unwrap());
        assert_eq!(fs::read_to_string(path("copy")).unwrap(), "one");
    }

    #[test]
    fn all_but_what_is_named_goes() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "two.part", "three"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir_all(dir.path().join("four/deep")).unwrap();
        let ask = |names: &[&str]| KeepOnly {
            folder: dir.path().to_owned(),
            names: names.iter().map(ToString::to_string).collect(),
            ends: Vec::new(),
        };
        keep_only(&ask(&["one", "three", "missing"])).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["one", "three"]);
        keep_only(&ask(&[])).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let gone = KeepOnly {
            folder: dir.path().join("none"),
            names: Vec::new(),
            ends: Vec::new(),
        };
        assert_eq!(keep_only(&gone), Ok(Purged::default()));
    }

    #[test]
    fn the_first_and_the_last_that_are_there_stay() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "c", "d", "x"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let ask = KeepOnly {
            folder: dir.path().to_owned(),
            names: vec!["x".into()],
            ends: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
        };
        keep_only(&ask).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["b", "d", "x"]);
    }
}
