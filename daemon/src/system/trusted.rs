//! The clones that people's own git may work in. git refuses a repository of another user unless its
//! configuration names the folder, and knows no pattern for all of them; so cid keeps a file with a
//! line for each, which the machine's `/etc/gitconfig` includes.

use super::{Fault, fs};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const HEAD: &str = "# cid writes this file: workspaces' clones, which belong to their own users and in which people's\n\
                    # git may work all the same. /etc/gitconfig includes it.\n[safe]\n";
const LINE: &str = "\tdirectory = ";

/// One reads and writes at a time: jobs run side by side.
static TURN: Mutex<()> = Mutex::new(());

/// The clones that the file names; none when there is no file.
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Path) -> Result<BTreeSet<PathBuf>, Fault> {
    let text = fs::read_optional(file)?.unwrap_or_default();
    Ok(text
        .lines()
        .filter_map(|line| unquoted(line.strip_prefix(LINE)?))
        .collect())
}

/// Names a clone, or does no longer.
///
/// # Errors
/// The file cannot be read or written, or the path is no text that git takes.
pub fn set(file: &Path, clone: &Path, is_trusted: bool) -> Result<(), Fault> {
    change(file, |clones| {
        if is_trusted {
            clones.insert(clone.to_owned());
        } else {
            clones.remove(clone);
        }
    })
}

/// Changes what the file names; one that would name nothing is removed.
///
/// # Errors
/// As [`set`].
pub fn change(file: &Path, change: impl FnOnce(&mut BTreeSet<PathBuf>)) -> Result<(), Fault> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = read(file)?;
    let mut clones = before.clone();
    change(&mut clones);
    if clones.is_empty() {
        return fs::remove_file(file).map(drop);
    }
    if clones == before {
        return Ok(());
    }
    let mut text = HEAD.to_owned();
    for clone in &clones {
        text.push_str(&format!("{LINE}{}\n", quoted(clone)?));
    }
    fs::write_atomic(file, text.as_bytes(), 0o644)
}

fn quoted(path: &Path) -> Result<String, Fault> {
    let text = path
        .to_str()
        .filter(|text| !text.contains(char::is_control));
    let text =
        text.ok_or_else(|| Fault::io("name in git's configuration", path, "it is no text"))?;
    Ok(format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

fn unquoted(text: &str) -> Option<PathBuf> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.replace("\\\"", "\"").replace("\\\\", "\\").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_reads_what_it_names_and_an_empty_file_goes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gitconfig");
        let clones = ["/srv/cid/a b/x/src", "/srv/\"cid\"/y/src"].map(PathBuf::from);
        for clone in &clones {
            set(&file, clone, true).unwrap();
            set(&file, clone, true).unwrap();
        }
        assert_eq!(read(&file).unwrap(), clones.clone().into());
        let config = git2::Config::open(&file).unwrap();
        let mut told = BTreeSet::new();
        let mut entries = config.multivar("safe.directory", None).unwrap();
        while let Some(entry) = entries.next() {
            told.insert(PathBuf::from(entry.unwrap().value().unwrap()));
        }
        assert_eq!(told, clones.clone().into());
        for clone in &clones {
            set(&file, clone, false).unwrap();
        }
        assert!(!file.exists());
        set(&file, &clones[0], false).unwrap();
        assert!(set(&file, Path::new("/a\nb"), true).is_err());
    }
}
