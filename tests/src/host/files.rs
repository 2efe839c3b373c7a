//! Files in a host.

use super::Host;
use crate::command::run;
use anyhow::{Context, Result};
use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::Mode,
};
use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(120);

impl Host {
    /// Writes a file of root's, with exactly this mode; makes the folders it lies in.
    ///
    /// # Errors
    /// The host is off, or the file cannot be written.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let parent = Path::new(path).parent().context("not a file's path")?;
        self.run(&["mkdir", "--parents", &parent.to_string_lossy()])?
            .ok()?;
        let mut file = self.open(path, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC)?;
        file.write_all(content.as_ref())?;
        Ok(file.set_permissions(fs::Permissions::from_mode(mode))?)
    }

    /// A file's content as text.
    ///
    /// # Errors
    /// The host is off, or the file cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        let mut bytes = Vec::new();
        self.open(path, OFlag::O_RDONLY)?.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether there is anything at this path, a broken link too.
    ///
    /// # Errors
    /// The host is off.
    pub fn exists(&self, path: &str) -> Result<bool> {
        let look = self.open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW);
        self.leader().map(|_| look.is_ok())
    }

    /// Copies a file of this machine to `to`, or what is in a folder into the folder `to`. All of it
    /// becomes root's and keeps its mode.
    ///
    /// # Errors
    /// The host is off, or something cannot be read or written.
    pub fn copy_in(&self, from: &Path, to: &str) -> Result<()> {
        let mode = from
            .metadata()
            .with_context(|| format!("cannot read {}", from.display()))?
            .permissions()
            .mode();
        if !from.is_dir() {
            return self.write(to, fs::read(from)?, mode & 0o7777);
        }
        let archive = self.scratch_dir().join("copy.tar");
        let mut pack = Command::new("tar");
        pack.args(["--create", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--file={}", archive.display()))
            .arg(format!("--directory={}", from.display()))
            .arg(".");
        run(&mut pack, LIMIT)?.ok()?;
        let inside = "/var/tmp/copy.tar";
        self.write(inside, fs::read(&archive)?, 0o600)?;
        fs::remove_file(archive)?;
        self.run(&["mkdir", "--parents", to])?.ok()?;
        let (file, directory) = (format!("--file={inside}"), format!("--directory={to}"));
        self.run(&["tar", "--extract", &file, &directory])?.ok()?;
        self.run(&["rm", inside])?.ok().map(drop)
    }

    /// Opens a path as the host sees it: a link in it never leads out to this machine.
    fn open(&self, path: &str, flags: OFlag) -> Result<File> {
        let root = File::open(format!("/proc/{}/root", self.leader()?))?;
        let mut how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT);
        if flags.contains(OFlag::O_CREAT) {
            how = how.mode(Mode::S_IRUSR | Mode::S_IWUSR);
        }
        let file =
            openat2(&root, path, how).with_context(|| format!("cannot open {path} in the host"))?;
        Ok(File::from(file))
    }
}
