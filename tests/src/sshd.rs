use crate::{command::run, wait::wait_until};
use anyhow::{Context, Result};
use nix::unistd::{Uid, User};
use std::{
    fmt, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const SSHD: &str = "/usr/sbin/sshd";

/// Key files made for one server: nothing of the caller's `~/.ssh` is used.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The client's private key.
    pub identity: PathBuf,
    /// A known_hosts with the server's key.
    pub known_hosts: PathBuf,
    dir: PathBuf,
}

impl Keys {
    /// Makes host key, client key, authorized_keys and known_hosts in `dir`.
    ///
    /// # Errors
    /// ssh-keygen fails.
    pub fn make(dir: &Path, port: u16) -> Result<Self> {
        fs::create_dir_all(dir)?;
        for name in ["host_key", "client_key"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(dir.join(name));
            run(&mut keygen, Duration::from_secs(30))?.ok()?;
        }
        fs::copy(dir.join("client_key.pub"), dir.join("authorized_keys"))?;
        let host_key = fs::read_to_string(dir.join("host_key.pub"))?;
        let known_hosts = dir.join("known_hosts");
        fs::write(&known_hosts, format!("[127.0.0.1]:{port} {host_key}"))?;
        Ok(Self {
            identity: dir.join("client_key"),
            known_hosts,
            dir: dir.to_owned(),
        })
    }

    /// Has the server run this command, whatever the client asks for.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn force(&self, command: &str) -> Result<()> {
        let key = fs::read_to_string(self.dir.join("client_key.pub"))?;
        let line = format!("command=\"{command}\" {key}");
        Ok(fs::write(self.dir.join("authorized_keys"), line)?)
    }

    /// Makes the server a stranger: another key stands in known_hosts, or none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget_host(&self) -> Result<()> {
        Ok(fs::write(&self.known_hosts, "")?)
    }
}

/// An SSH server on 127.0.0.1 that lets in the caller's own account with one key.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    port: u16,
    user: String,
}

impl Sshd {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(keys: &Keys, port: u16) -> Result<Self> {
        Self::start_with(keys, port, "MaxStartups 200")
    }

    /// The same, with further lines in its configuration.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_with(keys: &Keys, port: u16, more: &str) -> Result<Self> {
        let user = User::from_uid(Uid::current())?
            .context("this process has no account")?
            .name;
        if Uid::current().is_root() {
            // Debian makes it when the service starts, which has not happened here.
            fs::create_dir_all("/run/sshd")?;
        }
        let config = keys.dir.join("sshd_config");
        let text = SshdConfig {
            dir: &keys.dir,
            port,
            use_pam: is_locked(&user),
            more,
        }
        .to_string();
        fs::write(&config, text)?;
        let log_path = keys.dir.join("sshd.log");
        let child = Command::new(SSHD)
            .arg("-D")
            .arg("-e")
            .arg("-f")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log_path)?)
            .spawn()
            .with_context(|| format!("cannot start {SSHD}"))?;
        let sshd = Self { child, port, user };
        wait_until("sshd to answer", Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .with_context(|| fs::read_to_string(&log_path).unwrap_or_default())?;
        Ok(sshd)
    }

    /// The URL of a repository on it.
    #[must_use]
    pub fn url(&self, repository: &Path) -> String {
        format!(
            "ssh://{}@127.0.0.1:{}{}",
            self.user,
            self.port,
            repository.display()
        )
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Connections that still hang are served by children of their own, which notice.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without PAM sshd turns away an account whose password is locked, keys or not.
fn is_locked(user: &str) -> bool {
    fs::read_to_string("/etc/shadow").is_ok_and(|shadow| {
        shadow
            .lines()
            .any(|line| line.starts_with(&format!("{user}:!")))
    })
}

struct SshdConfig<'a> {
    dir: &'a Path,
    port: u16,
    use_pam: bool,
    more: &'a str,
}

impl fmt::Display for SshdConfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display();
        writeln!(f, "ListenAddress 127.0.0.1:{}", self.port)?;
        writeln!(f, "HostKey {dir}/host_key")?;
        writeln!(f, "AuthorizedKeysFile {dir}/authorized_keys")?;
        writeln!(f, "PidFile none")?;
        // The folder is a temporary one, whose parent everybody may write to.
        writeln!(f, "StrictModes no")?;
        writeln!(f, "UsePAM {}", if self.use_pam { "yes" } else { "no" })?;
        writeln!(f, "PasswordAuthentication no")?;
        writeln!(f, "KbdInteractiveAuthentication no")?;
        writeln!(f, "PermitRootLogin prohibit-password")?;
        writeln!(f, "{}", self.more)
    }
}

/// A server that takes every connection and then says nothing, for as long as it lives.
#[derive(Debug)]
pub struct SilentServer {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

impl SilentServer {
    /// Starts it; it ends with this process.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        thread::spawn(move || {
            let mut held = Vec::new();
            while let Ok(connection) = listener.accept() {
                held.push(connection);
            }
        });
        Ok(Self { port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{git::GitServer, ports::Block, project::Tree};

    #[test]
    fn a_repository_is_reached_with_its_own_keys_only() {
        if !Path::new(SSHD).exists() {
            crate::skip("this needs the package openssh-server");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let ports = Block::take().unwrap();
        let server = GitServer::ssh(dir.path(), "r", &Tree::hello(), ports.other()).unwrap();
        let keys = server.keys().unwrap();
        let list = || {
            let ssh = format!(
                "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile={} -i {}",
                keys.known_hosts.display(),
                keys.identity.display()
            );
            let mut command = Command::new("git");
            command
                .args(["ls-remote", &server.url])
                .env("GIT_SSH_COMMAND", ssh);
            run(&mut command, Duration::from_secs(60)).unwrap()
        };
        let listed = list().ok().unwrap();
        assert!(listed.stdout.contains("refs/heads/main"), "{listed}");
        keys.forget_host().unwrap();
        assert!(list().stderr.contains("Host key verification failed"));
    }
}
