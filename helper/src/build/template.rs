//! What a project's commands made in a tree: kept once, and copied into workspaces.
//!
//! Nothing runs in the tree any more when it is looked at. The commands may have left anything there, so no link
//! is followed.

use crate::{
    git::{files::over, open_mirror},
    inspect::snapshot::Snapshot,
    tree::beneath::{FOLDER, Root},
};
use cid_kernel::fs::sync_all_of;
use cid_protocol::{
    budget::BUILD_ENTRIES,
    fault::Fault,
    request::{CHANGED, IN_HOME, NEW, PlaceMade, TakeMade, TakenMade},
};
use git2::{ObjectType, Oid, Repository, Tree};
use memchr::memmem;
use rustix::fs::{self as sys, AtFlags, FileType, Mode};
use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

/// Of no use elsewhere, or the tree's own.
const PASSED_OVER: &[&str] = &["__pycache__", ".git", ".venv"];
const PASSED_OVER_ENDS: &[&str] = &[".pyc", ".egg-info", ".log", ".pid", ".sock"];
/// In each folder that cid brought into a tree.
const PACKAGES: &str = ".cid-packages";
/// How a database of SQLite's begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// What lies beside a database of SQLite's that was not closed.
const BESIDE: &[&str] = &["-wal", "-shm", "-journal"];
/// A file with a secret is no longer, in bytes.
const SMALL: u64 = 4096;
/// What pages are made of: no file of these sorts is taken for a secret by its name or form.
const ASSETS: &[&str] = &[
    "js", "mjs", "css", "scss", "map", "html", "htm", "svg", "png", "jpg", "gif", "ico", "webp",
    "woff", "woff2", "ttf", "gz", "br", "ts", "md", "mo", "po",
];

/// Something that was made.
struct Made {
    /// Where it is.
    from: PathBuf,
    /// Where it is kept.
    to: PathBuf,
    is_link: bool,
}

/// Moves what was made into the folder for it, where workspaces may share it, and seals it.
///
/// # Errors
/// Something cannot be read or moved, or there is too much.
pub(crate) fn take(ask: &TakeMade) -> Result<TakenMade, Fault> {
    let mirror = open_mirror(&ask.mirror)?;
    let snapshot = Snapshot::open(&mirror, &ask.commit, Path::new(""))?;
    let mut all = made_in_tree(&mirror, snapshot.root(), &ask.tree)?;
    all.extend(databases(&ask.home)?);
    let mut taken = TakenMade::default();
    let mut databases = 0;
    for one in &all {
        let shown = one.from.strip_prefix(&ask.tree).unwrap_or(&one.from);
        let looked = look(one, &ask.own).map_err(|error| Fault::io("read", &one.from, error))?;
        taken.files += 1;
        taken.bytes += looked.bytes;
        databases += usize::from(looked.is_database);
        let why = match looked {
            Looked {
                holds_own: true, ..
            } => "holds a path, a name or a key of this one tree",
            Looked {
                is_secret: true, ..
            } if ask.careful => "looks like a secret",
            _ => continue,
        };
        taken.refusal = Some(format!("{} {why}", shown.display()));
        return Ok(taken);
    }
    if ask.careful && databases == 0 {
        taken.refusal = Some("no database of SQLite's came of them".into());
        return Ok(taken);
    }
    for one in &all {
        keep(one, &ask.target)?;
    }
    seal_folders(&ask.target).map_err(|error| Fault::io("seal", &ask.target, error))?;
    sync_all_of(&ask.target)?;
    Ok(taken)
}

/// All that the commit does not have, or has otherwise.
fn made_in_tree(mirror: &Repository, root: &Tree<'_>, at: &Path) -> Result<Vec<Made>, Fault> {
    let mut all = Vec::new();
    let mut waiting = vec![(PathBuf::new(), Some(root.clone()))];
    while let Some((folder, tree)) = waiting.pop() {
        let inside = at.join(&folder);
        let failed = |error| Fault::io("read", &inside, error);
        for entry in fs::read_dir(&inside).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (name, from) = (entry.file_name(), entry.path());
            let (path, kind) = (folder.join(&name), entry.file_type().map_err(failed)?);
            over(
                &BUILD_ENTRIES,
                all.len() + waiting.len(),
                &at.display().to_string(),
            )?;
            let known = tree
                .as_ref()
                .and_then(|tree| tree.get_name_bytes(name.as_bytes()));
            if let Some(known) = known {
                let inner = known
                    .to_object(mirror)
                    .and_then(|object| object.peel_to_tree());
                if kind.is_dir() {
                    waiting.push((path, inner.ok()));
                } else if kind.is_file() && known.kind() == Some(ObjectType::Blob) {
                    let now = Oid::hash_file(ObjectType::Blob, &from)
                        .map_err(|error| Fault::io("read", &from, error.message()))?;
                    if now != known.id() {
                        let to = Path::new(CHANGED).join(path);
                        all.push(Made {
                            from,
                            to,
                            is_link: false,
                        });
                    }
                }
                continue;
            }
            if is_passed_over(&name) || from.join(PACKAGES).exists() {
                continue;
            }
            if kind.is_dir() {
                waiting.push((path, None));
            } else if kind.is_file() || kind.is_symlink() {
                let to = Path::new(NEW).join(path);
                all.push(Made {
                    from,
                    to,
                    is_link: kind.is_symlink(),
                });
            }
        }
    }
    all.sort_by(|one, other| one.to.cmp(&other.to));
    Ok(all)
}

fn is_passed_over(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    PASSED_OVER.contains(&&*name) || PASSED_OVER_ENDS.iter().any(|end| name.ends_with(end))
}

/// Databases of SQLite's right in the HOME; the rest of it is caches.
fn databases(home: &Path) -> Result<Vec<Made>, Fault> {
    let failed = |error| Fault::io("read", home, error);
    let mut all = Vec::new();
    for entry in fs::read_dir(home).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let from = entry.path();
        let is_file = entry.file_type().map_err(failed)?.is_file();
        let mut head = [0; SQLITE.len()];
        let is_database = is_file
            && File::open(&from)
                .and_then(|mut file| file.read_exact(&mut head))
                .is_ok_and(|()| head == SQLITE);
        if !is_database {
            continue;
        }
        for end in [""].iter().chain(BESIDE) {
            let mut name = entry.file_name();
            name.push(end);
            let from = home.join(&name);
            if fs::symlink_metadata(&from).is_ok_and(|meta| meta.is_file()) {
                let to = Path::new(IN_HOME).join(name);
                all.push(Made {
                    from,
                    to,
                    is_link: false,
                });
            }
        }
    }
    Ok(all)
}

struct Looked {
    bytes: u64,
    is_database: bool,
    holds_own: bool,
    is_secret: bool,
}

fn look(made: &Made, own: &[String]) -> io::Result<Looked> {
    let finders: Vec<_> = own
        .iter()
        .map(|own| memmem::Finder::new(own.as_bytes()))
        .collect();
    let holds = |text: &[u8]| finders.iter().any(|finder| finder.find(text).is_some());
    if made.is_link {
        let to = fs::read_link(&made.from)?;
        return Ok(Looked {
            bytes: 0,
            is_database: false,
            holds_own: holds(to.as_os_str().as_bytes()),
            is_secret: false,
        });
    }
    let mut file = File::open(&made.from)?;
    // One that lies over the border of two pieces is found as well.
    let overlap = own.iter().map(String::len).max().unwrap_or_default();
    let (mut bytes, mut piece, mut head) = (0, Vec::new(), Vec::new());
    let mut holds_own = false;
    loop {
        let kept = piece.len().min(overlap);
        piece.drain(..piece.len() - kept);
        let read = file.by_ref().take(1 << 20).read_to_end(&mut piece)?;
        if bytes == 0 {
            head = piece[..piece.len().min(usize::try_from(SMALL).unwrap_or_default())].to_vec();
        }
        bytes += read as u64;
        holds_own |= holds(&piece);
        if read == 0 || holds_own {
            break;
        }
    }
    let is_database = head.starts_with(SQLITE);
    Ok(Looked {
        bytes,
        is_database,
        holds_own,
        is_secret: !is_database && bytes <= SMALL && looks_secret(&made.from, &head),
    })
}

/// Whether a short file is like those in which programs keep a key that they made up.
fn looks_secret(path: &Path, text: &[u8]) -> bool {
    let ends = path
        .extension()
        .map(|end| end.to_string_lossy().to_ascii_lowercase());
    if ends.as_deref().is_some_and(|ends| ASSETS.contains(&ends)) {
        return false;
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    let by_name = ["secret", "private", "credential", "passw", "token"];
    if by_name.iter().any(|part| name.contains(part))
        || [".key", ".pem", ".p12"]
            .iter()
            .any(|end| name.ends_with(end))
        || name.starts_with(".env")
    {
        return true;
    }
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let word = text.trim();
    let is_key = word.len() >= 32
        && !word.contains(char::is_whitespace)
        && !word.starts_with(['{', '[', '<'])
        && word.contains(|c: char| c.is_ascii_digit());
    is_key
        || ["secret", "password", "private key"]
            .iter()
            .any(|part| text.contains(part))
}

fn keep(made: &Made, target: &Path) -> Result<(), Fault> {
    let to = target.join(&made.to);
    let parent = to.parent().unwrap_or(target);
    fs::create_dir_all(parent).map_err(|error| Fault::io("make", parent, error))?;
    fs::rename(&made.from, &to).map_err(|error| Fault::io("keep", &made.from, error))?;
    if made.is_link {
        return Ok(());
    }
    let failed = |error| Fault::io("seal", &to, error);
    let mode = fs::symlink_metadata(&to)
        .map_err(failed)?
        .permissions()
        .mode();
    let sealed = Permissions::from_mode(0o444 | (mode & 0o111));
    fs::set_permissions(&to, sealed).map_err(failed)
}

fn seal_folders(target: &Path) -> io::Result<()> {
    let mut waiting = vec![target.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o555))?;
    }
    Ok(())
}

/// Copies what was kept into a workspace. What is there already stays, but for files of the commit that the
/// commands changed. After a failure what was new is gone again.
///
/// # Errors
/// Something cannot be read or written.
pub(crate) fn place(ask: &PlaceMade) -> Result<u64, Fault> {
    let source = Root::open(&ask.source)?;
    let (tree, home) = (Root::open(&ask.tree)?, Root::open(&ask.home)?);
    let mut placed = 0;
    // What replaces files comes last: it cannot be taken away again.
    for (part, to, replaces) in [
        (NEW, &tree, false),
        (IN_HOME, &home, false),
        (CHANGED, &tree, true),
    ] {
        if source.kind(Path::new(part))?.is_none() {
            continue;
        }
        let mut new = Vec::new();
        let done = copy(&source, part, to, replaces, &mut new);
        placed += new.len() as u64;
        if let Err(fault) = done {
            if !replaces {
                new.iter().for_each(|path| remove(to, path));
            }
            return Err(fault);
        }
    }
    Ok(placed)
}

fn remove(root: &Root, path: &Path) {
    let folder = path.parent().unwrap_or(Path::new(""));
    if let (Ok(folder), Some(name)) = (
        root.open_at(folder, FOLDER, Mode::empty()),
        path.file_name(),
    ) {
        let _ = sys::unlinkat(&folder, name, AtFlags::empty());
    }
}

fn copy(
    source: &Root,
    part: &str,
    to: &Root,
    replaces: bool,
    new: &mut Vec<PathBuf>,
) -> Result<(), Fault> {
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let from = Path::new(part).join(&path);
        let kind = source.kind(&from)?;
        if kind == Some(FileType::Directory) {
            if !path.as_os_str().is_empty() {
                to.make_folder(&path)?;
            }
            let names = source.names(&from)?;
            waiting.extend(names.into_iter().map(|name| path.join(name)));
            continue;
        }
        if !replaces && to.kind(&path)?.is_some() {
            continue;
        }
        let (parent, name) = to.split(&path)?;
        let folder = to.make_folder(&parent)?;
        let temporary = to.free_temporary(&folder, &path)?;
        if kind == Some(FileType::Symlink) {
            let link = sys::readlinkat(source, &from, Vec::new())
                .map_err(|error| source.fault("read", &from, error))?;
            sys::symlinkat(&link, &folder, temporary)
                .map_err(|error| to.fault("link", &path, error))?;
        } else {
            to.copy_file(source, &from, &parent.join(temporary))?;
        }
        to.rename(&folder, temporary, &name, &path)?;
        new.push(path);
    }
    Ok(())
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
