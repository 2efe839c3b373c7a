//! Seals a build's files, says what they are by a digest, and copies them for tests.
//!
//! A build's own commands may have left anything there, so folders are opened without following a link.

use crate::git::files::over;
use crate::tree::beneath::{CONFINED, FOLDER};
use cid_protocol::{
    budget::BUILD_ENTRIES,
    fault::Fault,
    request::{CopyBuild, SealBuild, SealedBuild},
};
use rustix::{
    fs::{self as sys, AtFlags, Dir, FileType, Mode, OFlags, RawMode},
    io::Errno,
};
use sha2::{Digest, Sha256};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// Where Python keeps what it compiled.
const COMPILED: &str = "__pycache__";
/// Write bits of all.
const WRITE: RawMode = 0o222;

/// Something beneath a folder.
struct Entry {
    path: PathBuf,
    kind: FileType,
    mode: RawMode,
    /// Whether it is here alone: a second name may be somebody else's file.
    is_single: bool,
}

/// Takes the write bits away and digests what is there.
///
/// # Errors
/// Something cannot be read or changed, or there is too much.
pub(crate) fn seal(ask: &SealBuild) -> Result<SealedBuild, Fault> {
    let mut sealed = SealedBuild {
        digest: String::new(),
        files: 0,
        bytes: 0,
    };
    let mut digest = Sha256::new();
    let own = ask.roots.iter().map(|path| (path, false));
    let shared = ask.packages.iter().map(|path| (path, true));
    for (number, (path, is_shared)) in own.chain(shared).enumerate() {
        let reads_only = ask.reads_only || is_shared;
        let failed = |error| Fault::io("seal", path, error);
        let root = match sys::open(path, FOLDER, Mode::empty()) {
            Ok(root) => root,
            // It has no packages of its own.
            Err(Errno::NOENT) if number > 0 && !is_shared => continue,
            Err(error) => return Err(failed(error)),
        };
        field(&mut digest, &number.to_le_bytes());
        for entry in entries(&root, path)? {
            // Made of the others, at any time.
            if is_shared && entry.path.iter().any(|name| name == COMPILED) {
                continue;
            }
            let of = |error| Fault::io("seal", &path.join(&entry.path), error);
            let mode = sealed_mode(entry.mode);
            field(&mut digest, entry.path.as_os_str().as_bytes());
            field(&mut digest, &mode.to_le_bytes());
            match entry.kind {
                FileType::RegularFile => {
                    let fd = open(&root, &entry.path, OFlags::RDONLY).map_err(of)?;
                    if !reads_only && entry.is_single && entry.mode != mode {
                        sys::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(of)?;
                    }
                    let (content, bytes) = digest_of(File::from(fd))
                        .map_err(|error| Fault::io("read", &path.join(&entry.path), error))?;
                    sealed.bytes += bytes;
                    sealed.files += 1;
                    field(&mut digest, &content);
                }
                FileType::Symlink => {
                    let to = sys::readlinkat(&root, &entry.path, Vec::new()).map_err(of)?;
                    field(&mut digest, to.as_bytes());
                }
                FileType::Directory if !reads_only && entry.mode != mode => {
                    let fd = open(&root, &entry.path, FOLDER).map_err(of)?;
                    sys::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(of)?;
                }
                _ => {}
            }
        }
    }
    sealed.digest = data_encoding::HEXLOWER.encode(&digest.finalize());
    Ok(sealed)
}

/// The mode of what is sealed: nobody writes it, and the project's accounts read and run what its builder could.
fn sealed_mode(mode: RawMode) -> RawMode {
    let of_owner = mode & 0o500;
    (mode & !WRITE) | (of_owner >> 3)
}

/// Of a file's content, with how long that is.
fn digest_of(mut file: File) -> io::Result<([u8; 32], u64)> {
    let (mut content, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((content.finalize().into(), bytes)),
            read => {
                content.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// With its length, so that two fields never read as two others.
fn field(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

/// Copies files, folders and links into an empty folder; the copies' owner may write them.
///
/// # Errors
/// Something cannot be read or written.
pub(crate) fn copy(ask: &CopyBuild) -> Result<(), Fault> {
    let open_root = |path: &Path| {
        sys::open(path, FOLDER, Mode::empty()).map_err(|error| Fault::io("open", path, error))
    };
    let (source, target) = (open_root(&ask.source)?, open_root(&ask.target)?);
    for entry in entries(&source, &ask.source)? {
        if entry.path.as_os_str().is_empty() {
            continue;
        }
        let failed = |error| Fault::io("copy", &ask.source.join(&entry.path), error);
        let executable = entry.mode & 0o111;
        match entry.kind {
            FileType::Directory => {
                sys::mkdirat(&target, &entry.path, Mode::from_raw_mode(0o777)).map_err(failed)?;
            }
            FileType::Symlink => {
                let to = sys::readlinkat(&source, &entry.path, Vec::new()).map_err(failed)?;
                sys::symlinkat(&to, &target, &entry.path).map_err(failed)?;
            }
            FileType::RegularFile => {
                let from = open(&source, &entry.path, OFlags::RDONLY).map_err(failed)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o666 | executable);
                let to =
                    sys::openat2(&target, &entry.path, flags, mode, CONFINED).map_err(failed)?;
                io::copy(&mut File::from(from), &mut File::from(to))
                    .map_err(|error| Fault::io("copy", &ask.source.join(&entry.path), error))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn open(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    sys::openat2(root, path, flags, Mode::empty(), CONFINED)
}

/// All that is beneath, a folder before what is in it, each folder's in the order of their names.
fn entries(root: &OwnedFd, of: &Path) -> Result<Vec<Entry>, Fault> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let failed = |error| Fault::io("read", &of.join(&path), error);
        let fd = open(root, &path, FOLDER).map_err(failed)?;
        let mode = sys::fstat(&fd).map_err(failed)?.st_mode & 0o7777;
        for entry in Dir::read_from(&fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let stat = sys::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            let inner = path.join(OsStr::from_bytes(name.to_bytes()));
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => waiting.push(inner),
                kind => found.push(Entry {
                    path: inner,
                    kind,
                    mode: match kind {
                        // A link's mode means nothing.
                        FileType::Symlink => 0,
                        _ => stat.st_mode & 0o7777,
                    },
                    is_single: stat.st_nlink == 1,
                }),
            }
            over(
                &BUILD_ENTRIES,
                found.len() + waiting.len(),
                &of.display().to_string(),
            )?;
        }
        found.push(Entry {
            path,
            kind: FileType::Directory,
            mode,
            is_single: true,
        });
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    fn build() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src/sub")).unwrap();
        fs::write(dir.path().join("src/sub/a"), "a").unwrap();
        fs::write(dir.path().join("src/b"), "b").unwrap();
        symlink("/etc/passwd", dir.path().join("src/link")).unwrap();
        dir
    }

    fn sealed(dir: &tempfile::TempDir, reads_only: bool) -> SealedBuild {
        let roots = vec![dir.path().join("src"), dir.path().join("venv")];
        let packages = Vec::new();
        seal(&SealBuild {
            roots,
            packages,
            reads_only,
        })
        .unwrap()
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_sealed_has_no_write_bits_and_the_same_digest_again() {
        let (one, other) = (build(), build());
        let digest = sealed(&one, false).digest;
        for path in ["src", "src/sub", "src/sub/a", "src/b"] {
            let mode = fs::metadata(one.path().join(path)).unwrap().permissions();
            assert_eq!(mode.mode() & WRITE, 0, "{path}");
        }
        assert_eq!(digest, sealed(&one, true).digest);
        assert_eq!(digest, sealed(&other, false).digest, "the same content");
        assert_ne!(
            fs::metadata("/etc/passwd").unwrap().permissions().mode() & WRITE,
            0
        );
    }

    #[test]
    fn each_change_changes_the_digest() {
        let changes: &[fn(&Path)] = &[
            |src| fs::write(src.join("b"), "c").unwrap(),
            |src| fs::write(src.join("new"), "").unwrap(),
            |src| fs::remove_file(src.join("b")).unwrap(),
            |src| fs::rename(src.join("b"), src.join("c")).unwrap(),
            |src| set_mode(&src.join("b"), 0o755),
            |src| {
                fs::remove_file(src.join("link")).unwrap();
                symlink("/etc/hosts", src.join("link")).unwrap();
            },
        ];
        let before = sealed(&build(), true).digest;
        for (number, change) in changes.iter().enumerate() {
            let dir = build();
            change(&dir.path().join("src"));
            assert_ne!(sealed(&dir, true).digest, before, "change {number}");
        }
    }

    #[test]
    fn a_copy_can_be_written_and_the_build_is_as_it_was() {
        let dir = build();
        let digest = sealed(&dir, false).digest;
        let target = dir.path().join("copy");
        fs::create_dir(&target).unwrap();
        copy(&CopyBuild {
            source: dir.path().join("src"),
            target: target.clone(),
        })
        .unwrap();
        let mode = fs::metadata(target.join("sub/a")).unwrap().permissions();
        assert_ne!(mode.mode() & 0o200, 0);
        fs::write(target.join("sub/a"), "changed").unwrap();
        assert_eq!(sealed(&dir, true).digest, digest);
    }

    #[test]
    fn shared_packages_are_in_the_digest_and_left_alone() {
        let (dir, shared) = (build(), tempfile::tempdir().unwrap());
        let module = shared.path().join("module.py");
        fs::write(&module, "one").unwrap();
        let digest = |reads_only| {
            let ask = SealBuild {
                roots: vec![dir.path().join("src")],
                packages: vec![shared.path().to_owned()],
                reads_only,
            };
            seal(&ask).unwrap().digest
        };
        let before = digest(false);
        assert_ne!(
            fs::metadata(&module).unwrap().permissions().mode() & 0o200,
            0
        );
        fs::create_dir(shared.path().join(COMPILED)).unwrap();
        fs::write(shared.path().join(COMPILED).join("module.pyc"), "x").unwrap();
        assert_eq!(digest(true), before, "what Python compiled is no content");
        fs::write(&module, "two").unwrap();
        assert_ne!(digest(true), before);
    }
}
