//! Opening, making and replacing things beneath an open folder.

use crate::tree::purge;
use cid_protocol::fault::Fault;
use rustix::{
    fs::{self as sys, AtFlags, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

/// What is being made is called so until it is whole. One helper works in a tree at a time, so one
/// name is enough, and a later run finds what a killed one left.
pub(super) const TEMPORARY: &str = ".cid.tmp";
/// Neither links, `/proc`'s own among them, nor `..` lead out of where one began.
pub(crate) const CONFINED: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
/// For walking: opens folders only, never waits.
pub(crate) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// An open folder and everything beneath it.
pub(crate) struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens a folder by its path, whose parents are trusted; it must not itself be a link.
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let fd = sys::open(path, FOLDER, Mode::empty())
            .map_err(|error| Fault::io("open", path, error))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A fault about something beneath.
    pub(crate) fn fault(&self, verb: &str, relative: &Path, error: Errno) -> Fault {
        let fault = Fault::io(verb, &self.path.join(relative), error);
        if error == Errno::LOOP {
            fault.hint("a symbolic link is in the way; cid follows none inside a tree")
        } else {
            fault
        }
    }

    /// Opens something beneath.
    pub(crate) fn open_at(
        &self,
        relative: &Path,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        let relative = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            relative
        };
        sys::openat2(&self.fd, relative, flags | OFlags::CLOEXEC, mode, CONFINED)
    }

    /// Opens a folder beneath, making it and its parents.
    pub(crate) fn make_folder(&self, relative: &Path) -> Result<OwnedFd, Fault> {
        let mut fd = self
            .open_at(Path::new(""), FOLDER, Mode::empty())
            .map_err(|e| self.fault("open", relative, e))?;
        for name in relative.components() {
            match sys::mkdirat(&fd, name.as_os_str(), Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(self.fault("make the folder", relative, error)),
            }
            fd = sys::openat2(&fd, name.as_os_str(), FOLDER, Mode::empty(), CONFINED)
                .map_err(|error| self.fault("open the folder", relative, error))?;
        }
        Ok(fd)
    }

    /// The names in a folder beneath.
    pub(crate) fn names(&self, folder: &Path) -> Result<Vec<OsString>, Fault> {
        let failed = |error| self.fault("list", folder, error);
        let opened = self
            .open_at(folder, FOLDER, Mode::empty())
            .map_err(failed)?;
        let mut names = Vec::new();
        for entry in sys::Dir::new(opened).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if ![c".", c".."].contains(&name) {
                names.push(OsStr::from_bytes(name.to_bytes()).to_owned());
            }
        }
        Ok(names)
    }

    /// Copies a file of another folder to a free place beneath. The copy shares its blocks where the file system
    /// can; who may execute it still may.
    pub(crate) fn copy_file(&self, source: &Self, from: &Path, at: &Path) -> Result<(), Fault> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let unread = |error| source.fault("read", from, error);
        let opened = source.open_at(from, flags, Mode::empty()).map_err(unread)?;
        let stat = sys::fstat(&opened).map_err(unread)?;
        let mode = Mode::from_raw_mode(0o666 | (stat.st_mode & 0o111));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let made = self
            .open_at(at, flags, mode)
            .map_err(|error| self.fault("write", at, error))?;
        if sys::ioctl_ficlone(&made, &opened).is_ok() {
            return Ok(());
        }
        io::copy(&mut File::from(opened), &mut File::from(made))
            .map(drop)
            .map_err(|error| Fault::io("copy", &self.path.join(at), error))
    }

    /// What is at a place beneath; `None` when nothing is.
    pub(crate) fn kind(&self, relative: &Path) -> Result<Option<FileType>, Fault> {
        match self.open_at(relative, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => {
                let stat =
                    sys::fstat(fd).map_err(|error| self.fault("look at", relative, error))?;
                Ok(Some(FileType::from_raw_mode(stat.st_mode)))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.fault("look at", relative, error)),
        }
    }

    /// Reads a regular file beneath, of at most `limit` bytes.
    pub(crate) fn read(&self, relative: &Path, limit: u64) -> Result<String, Fault> {
        let fd = self
            .open_at(
                relative,
                OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
                Mode::empty(),
            )
            .map_err(|error| self.fault("read", relative, error))?;
        let stat = sys::fstat(&fd).map_err(|error| self.fault("read", relative, error))?;
        let path = self.path.join(relative);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Fault::io("read", &path, "it is no regular file"));
        }
        let mut text = String::new();
        let read = File::from(fd).take(limit + 1).read_to_string(&mut text);
        match read {
            Ok(length) if length as u64 > limit => Err(Fault::io(
                "read",
                &path,
                format!("it is longer than {limit} bytes"),
            )),
            Ok(_) => Ok(text),
            Err(error) => Err(Fault::io("read", &path, error)),
        }
    }

    /// Writes a file whole or not at all; nothing is touched when it has that content already.
    /// A link at its place is replaced, not followed. Parents are made.
    pub(crate) fn write(&self, relative: &Path, content: &[u8]) -> Result<(), Fault> {
        let (parent, name) = self.split(relative)?;
        let parent = self.make_folder(&parent)?;
        if self.has_content(&parent, &name, content) {
            return Ok(());
        }
        let temporary = self.free_temporary(&parent, relative)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = sys::openat(&parent, temporary, flags, Mode::from_raw_mode(0o666))
            .map_err(|error| self.fault("write", relative, error))?;
        let mut file = File::from(fd);
        let written = file
            .write_all(content)
            .and_then(|()| file.sync_data())
            .map_err(|error| Fault::io("write", &self.path.join(relative), error))
            .and_then(|()| self.rename(&parent, temporary, &name, relative));
        written.inspect_err(|_| {
            let _ = sys::unlinkat(&parent, temporary, AtFlags::empty());
        })
    }

    /// Makes a link whole or not at all; one that leads there already is left as it is.
    pub(crate) fn link(&self, relative: &Path, to: &Path) -> Result<(), Fault> {
        let (parent, name) = self.split(relative)?;
        let parent = self.make_folder(&parent)?;
        if sys::readlinkat(&parent, &name, Vec::new())
            .is_ok_and(|old| old.as_bytes() == to.as_os_str().as_encoded_bytes())
        {
            return Ok(());
        }
        let temporary = self.free_temporary(&parent, relative)?;
        sys::symlinkat(to, &parent, temporary)
            .map_err(|error| self.fault("link", relative, error))?;
        self.rename(&parent, temporary, &name, relative)
            .inspect_err(|_| {
                let _ = sys::unlinkat(&parent, temporary, AtFlags::empty());
            })
    }

    /// The temporary name, after removing what a killed run left there.
    pub(crate) fn free_temporary(
        &self,
        parent: &OwnedFd,
        relative: &Path,
    ) -> Result<&'static OsStr, Fault> {
        let name = OsStr::new(TEMPORARY);
        match sys::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(name),
            Err(Errno::ISDIR) => {
                purge::remove_at(parent, name, &self.path.join(relative)).map(|_| name)
            }
            Err(error) => Err(self.fault("make room for", relative, error)),
        }
    }

    /// Puts something made under the temporary name into its place.
    pub(crate) fn rename(
        &self,
        parent: &OwnedFd,
        temporary: &OsStr,
        name: &OsStr,
        relative: &Path,
    ) -> Result<(), Fault> {
        sys::renameat(parent, temporary, parent, name)
            .map_err(|error| self.fault("put in place", relative, error))
    }

    /// Gives a file another name in its folder, which nothing may have.
    pub(crate) fn rename_beside(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        let ((folder, old), (_, new)) = (self.split(from)?, self.split(to)?);
        let folder = self
            .open_at(&folder, FOLDER, Mode::empty())
            .map_err(|error| self.fault("open", from, error))?;
        sys::renameat_with(&folder, old, &folder, new, sys::RenameFlags::NOREPLACE)
            .map_err(|error| self.fault("set aside", from, error))
    }

    /// Folder and name of a place beneath.
    pub(crate) fn split(&self, relative: &Path) -> Result<(PathBuf, OsString), Fault> {
        match (relative.parent(), relative.file_name()) {
            (Some(parent), Some(name)) => Ok((parent.to_owned(), name.to_owned())),
            _ => Err(Fault::io("use", relative, "it names no file")),
        }
    }

    fn has_content(&self, parent: &OwnedFd, name: &OsStr, content: &[u8]) -> bool {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(fd) = sys::openat(parent, name, flags, Mode::empty()) else {
            return false;
        };
        let regular = sys::fstat(&fd)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        let mut old = Vec::new();
        // However long it is, no more than that counts.
        let most = content.len() as u64 + 1;
        regular && File::from(fd).take(most).read_to_end(&mut old).is_ok() && old == content
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A path that a request may name inside a tree: relative, plain, and not in git's own folder.
pub(super) fn plain_path(path: &Path) -> Result<PathBuf, Fault> {
    let refuse = |why| {
        Err(Fault::new(format!(
            "cannot write {} in the tree: {why}",
            path.display()
        )))
    };
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) if name.eq_ignore_ascii_case(".git") => {
                return refuse("git's own folder is not for cid's files");
            }
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            _ => return refuse("the path must be relative and without .."),
        }
    }
    if plain.as_os_str().is_empty() || path.as_os_str().as_encoded_bytes().contains(&b'\n') {
        return refuse("it is no name of a file");
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use crate::tree::beneath::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn follows_no_link_in_any_place() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        let tree = dir.path().join("tree");
        fs::create_dir_all(&outside).unwrap();
        fs::create_dir_all(&tree).unwrap();
        fs::write(outside.join("secret"), "before").unwrap();
        symlink(&outside, tree.join("folder")).unwrap();
        symlink(outside.join("secret"), tree.join("file")).unwrap();
        let root = Root::open(&tree).unwrap();
        assert!(root.write(Path::new("folder/secret"), b"after").is_err());
        assert!(root.read(Path::new("file"), 100).is_err());
        assert_eq!(
            root.kind(Path::new("file")).unwrap(),
            Some(FileType::Symlink)
        );
        root.write(Path::new("file"), b"after").unwrap();
        assert_eq!(
            fs::read_to_string(outside.join("secret")).unwrap(),
            "before"
        );
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "after");
        assert_eq!(fs::read_dir(&tree).unwrap().count(), 2);
    }

    #[test]
    fn makes_parents_and_writes_only_changes() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = Path::new("a/b/c.txt");
        root.write(path, b"x").unwrap();
        let inode = |p: &Path| {
            std::os::unix::fs::MetadataExt::ino(&fs::metadata(dir.path().join(p)).unwrap())
        };
        let before = inode(path);
        root.write(path, b"x").unwrap();
        assert_eq!(inode(path), before);
        root.write(path, b"y").unwrap();
        assert_ne!(inode(path), before);
    }

    #[test]
    fn leads_nowhere_else_by_any_path() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("real")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::write(tree.join("real/file"), "mine").unwrap();
        // These stay inside, and are followed no more than others.
        symlink("real", tree.join("folder")).unwrap();
        symlink("real/file", tree.join("file")).unwrap();
        let root = Root::open(&tree).unwrap();
        let secret = dir.path().join("secret");
        let link = format!(
            "/proc/self/fd/{}",
            std::os::fd::AsRawFd::as_raw_fd(&root.fd)
        );
        for path in [
            Path::new("../secret"),
            Path::new("real/../../secret"),
            &secret,
            &Path::new(&link).join("real/file"),
            Path::new("folder/file"),
            Path::new("file"),
        ] {
            assert!(root.read(path, 100).is_err(), "{path:?}");
        }
        assert_eq!(root.read(Path::new("real/file"), 100).unwrap(), "mine");
        for path in ["../made", "real/../../made", "folder/made"] {
            assert!(root.make_folder(Path::new(path)).is_err(), "{path}");
            assert!(
                root.write(&Path::new(path).join("f"), b"x").is_err(),
                "{path}"
            );
        }
        assert!(!dir.path().join("made").exists());
        assert!(!tree.join("real/made").exists());
        assert!(Root::open(&tree.join("folder")).is_err());
    }

    #[test]
    fn reads_regular_files_up_to_a_length() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        fs::write(dir.path().join("four"), "four").unwrap();
        let four = Path::new("four");
        assert_eq!(root.read(four, 4).unwrap(), "four");
        let told = root.read(four, 3).unwrap_err().message;
        assert!(told.contains("longer than 3 bytes"), "{told}");
        fs::write(dir.path().join("none"), "").unwrap();
        assert_eq!(root.read(Path::new("none"), 0).unwrap(), "");
        // One that nobody writes to would be an empty file.
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let told = root.read(Path::new("pipe"), 4).unwrap_err().message;
        assert!(told.contains("no regular file"), "{told}");
        assert!(root.read(Path::new(""), 4).is_err());
    }

    #[test]
    fn replaces_whatever_is_no_file_of_that_content() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let (same, other) = (outside.path().join("same"), outside.path().join("other"));
        fs::write(&same, "text").unwrap();
        fs::write(&other, "").unwrap();
        let root = Root::open(dir.path()).unwrap();
        let place = dir.path().join("place");
        let pipe = || nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let make: [&dyn Fn(); 5] = [
            &|| symlink(&same, &place).unwrap(),
            &|| symlink(&other, &place).unwrap(),
            // Nothing writes to it: opening it for reading waits.
            &pipe,
            &|| fs::write(&place, "text and more").unwrap(),
            &|| fs::write(&place, "tex").unwrap(),
        ];
        for (index, make) in make.iter().enumerate() {
            for content in ["text", ""] {
                let _ = fs::remove_file(&place);
                make();
                root.write(Path::new("place"), content.as_bytes()).unwrap();
                let meta = fs::symlink_metadata(&place).unwrap();
                assert!(meta.is_file(), "{index} {content:?}");
                assert_eq!(fs::read_to_string(&place).unwrap(), content, "{index}");
            }
        }
        assert_eq!(fs::read_to_string(&same).unwrap(), "text");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn takes_plain_paths_only() {
        assert_eq!(plain_path(Path::new("./a/b")).unwrap(), Path::new("a/b"));
        for bad in [
            "",
            ".",
            "/a",
            "../a",
            "a/../b",
            ".git/config",
            "a/.GIT/x",
            "a\nb",
        ] {
            assert!(plain_path(Path::new(bad)).is_err(), "{bad:?}");
        }
    }
}
