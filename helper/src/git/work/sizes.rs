//! How much of what git does not keep goes with a workspace.

use crate::git::work::made;
use cid_protocol::request::{LeftFile, LeftFiles};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// How many are named.
const NAMED: usize = 10;
/// How many files and folders of one folder are counted.
const ENTRIES: usize = 200_000;
/// A folder with one of these is made again too: the mark of caches, and that of Python's environments.
const MARKS: &[&str] = &["CACHEDIR.TAG", "pyvenv.cfg"];

/// What is in a folder, or a single file.
#[derive(Default)]
pub(super) struct Size {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// When the newest file was changed, in ns since 1970.
    pub(super) changed: i64,
    is_partial: bool,
}

/// Whether a tool makes it again, by its name or mark: for what git ignores.
pub(super) fn is_made_again(path: &Path) -> bool {
    let is_named = path.file_name().is_some_and(|name| name == "node_modules");
    is_named
        || is_bytecode(path)
        || is_bytecode_folder(path)
        || MARKS.iter().any(|mark| exists(&path.join(mark)))
}

/// Whether Python made it: also where git does not ignore it. While it writes one, the name has a number at the end.
pub(super) fn is_bytecode(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (_, end) = name.rsplit_once(".pyc").unwrap_or(("", "-"));
    end.is_empty() || end.strip_prefix('.').is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A folder of bytecode, with nothing else in it.
fn is_bytecode_folder(path: &Path) -> bool {
    let is_named = path.file_name().is_some_and(|name| name == "__pycache__");
    is_named && children(path).iter().all(|file| is_bytecode(file))
}

/// Counts files and their bytes. Leaves out links, repositories, which are looked at by themselves, and
/// what tools make again.
pub(super) fn measure(path: &Path, deadline: Instant) -> Size {
    let mut size = Size::default();
    let (mut places, mut entries) = (vec![path.to_owned()], 0);
    while let Some(place) = places.pop() {
        entries += 1;
        if entries > ENTRIES || Instant::now() > deadline {
            size.is_partial = true;
            break;
        }
        let Ok(meta) = fs::symlink_metadata(&place) else {
            continue;
        };
        if meta.is_file() {
            size.files += 1;
            size.bytes += meta.len();
            size.changed = size.changed.max(made::changed(&meta));
        } else if meta.is_dir() && !exists(&place.join(".git")) && !is_made_again(&place) {
            places.extend(children(&place));
        }
    }
    size
}

/// Whether a path is a file, or a folder with a file in it at any depth. git knows no empty folders.
pub(super) fn holds_files(path: &Path) -> bool {
    let (mut places, mut entries) = (vec![path.to_owned()], 0);
    while let Some(place) = places.pop() {
        entries += 1;
        match fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_dir()) {
            true if entries <= ENTRIES => places.extend(children(&place)),
            _ => return true,
        }
    }
    false
}

/// What lies in a folder, by its name.
pub(super) fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Adds all up; `shown` says what people call a path.
pub(super) fn add_up(
    paths: &[PathBuf],
    shown: impl Fn(&Path) -> String,
    deadline: Instant,
) -> LeftFiles {
    let mut all = LeftFiles::default();
    let mut named = Vec::new();
    for path in paths {
        let size = measure(path, deadline);
        all.files += size.files;
        all.bytes += size.bytes;
        all.is_partial |= size.is_partial;
        if size.files > 0 {
            let slash = if path.is_dir() { "/" } else { "" };
            named.push(LeftFile {
                path: format!("{}{slash}", shown(path))
                    .chars()
                    .take(300)
                    .collect(),
                bytes: size.bytes,
            });
        }
    }
    named.sort_by(|a, b| (b.bytes, &a.path).cmp(&(a.bytes, &b.path)));
    all.more = named.len().saturating_sub(NAMED) as u64;
    named.truncate(NAMED);
    all.biggest = named;
    all
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
