mod ask;
mod life;

use crate::{binaries::binaries, ports::Block};
use anyhow::{Context, Result};
use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command},
};
use tempfile::TempDir;

/// A daemon in sandbox mode with a folder and ports of its own. Dropping it stops all it started.
#[derive(Debug)]
pub struct Sandbox {
    dir: PathBuf,
    http_port: u16,
    ports: Block,
    bins: PathBuf,
    log_path: PathBuf,
    daemon: Option<Child>,
    home: Option<TempDir>,
}

/// Where a sandbox lives, when it is not to be a test's.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its folder, which may hold an earlier one's; a temporary one otherwise.
    pub dir: Option<PathBuf>,
    /// Its web port; any otherwise.
    pub http_port: Option<u16>,
    /// The built programs; those beside the running one otherwise.
    pub bins: Option<PathBuf>,
}

impl Sandbox {
    /// Prepares one in a temporary folder; [`Sandbox::start`] starts it.
    ///
    /// # Errors
    /// The programs are not built, or no ports are free.
    pub fn prepare() -> Result<Self> {
        Self::prepare_with(Options::default())
    }

    /// Prepares one as wanted.
    ///
    /// # Errors
    /// The programs are not built, or the ports are taken.
    pub fn prepare_with(options: Options) -> Result<Self> {
        let bins = match options.bins {
            Some(dir) => dir,
            None => binaries()?,
        };
        let ports = Block::take()?;
        let http_port = options.http_port.unwrap_or_else(|| ports.http());
        let taken = || format!("port {http_port} is taken");
        TcpListener::bind((Ipv4Addr::LOCALHOST, http_port)).with_context(taken)?;
        let (dir, home) = match options.dir {
            Some(dir) => (dir, None),
            None => {
                // Short, because a Unix socket's path holds at most 107 bytes.
                let home = tempfile::Builder::new().prefix("cid-").tempdir()?;
                (home.path().join("box"), Some(home))
            }
        };
        fs::create_dir_all(dir.join("etc/projects.d"))
            .with_context(|| format!("cannot make {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let log_path = PathBuf::from(format!("{}.log", dir.display()));
        let sandbox = Self {
            dir,
            http_port,
            ports,
            bins,
            log_path,
            daemon: None,
            home,
        };
        if !sandbox.dir.join("etc/cid.toml").exists() {
            sandbox.configure("")?;
        }
        Ok(sandbox)
    }

    /// Writes `etc/cid.toml`: the ports of this sandbox, and further settings.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure(&self, more: &str) -> Result<()> {
        let apps = self.ports.apps();
        let text = format!("ports = \"{}-{}\"\n{more}", apps.start(), apps.end());
        Ok(fs::write(self.dir.join("etc/cid.toml"), text)?)
    }

    /// Writes `etc/projects.d/NAME.toml`; a running daemon reads it at [`Sandbox::hup`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_project(&self, name: &str, toml: &str) -> Result<()> {
        let path = self.dir.join(format!("etc/projects.d/{name}.toml"));
        fs::write(&path, toml).with_context(|| format!("cannot write {}", path.display()))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bins.join(name));
        command
            .env_remove("CID_SOCKET")
            .env("PATH", path_with_sbin());
        command
    }

    /// The folder given as `--dir`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A folder outside `--dir` that goes when the sandbox does, for repositories and the like.
    ///
    /// # Errors
    /// The sandbox was prepared in a folder of the caller's.
    pub fn home(&self) -> Result<&Path> {
        Ok(self
            .home
            .as_ref()
            .context("not in a temporary folder")?
            .path())
    }

    /// The socket for `cictl`.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("run/cid.sock")
    }

    /// The port nginx answers on.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// The port nginx answers on over HTTPS, in a folder of the test's own.
    #[must_use]
    pub fn https_port(&self) -> u16 {
        self.ports.https()
    }

    /// A folder that stays keeps its port: other sandboxes have others by then.
    fn https_option(&self) -> Vec<String> {
        match self.home {
            Some(_) => vec!["--https-port".into(), self.https_port().to_string()],
            None => Vec::new(),
        }
    }

    /// This sandbox's ports.
    #[must_use]
    pub fn ports(&self) -> &Block {
        &self.ports
    }
}

/// Debian keeps nginx and sshd where a user's PATH does not lead.
fn path_with_sbin() -> String {
    format!(
        "{}:/usr/local/sbin:/usr/sbin:/sbin",
        env::var("PATH").unwrap_or_default()
    )
}
