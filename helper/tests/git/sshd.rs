//! A real SSH server for one test: its own host key, port, and one client that it lets in.

use cid_protocol::request::Remote;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub struct Sshd {
    child: Child,
    dir: PathBuf,
    port: u16,
}

impl Sshd {
    pub fn start(dir: &Path) -> Self {
        let dir = dir.join("ssh");
        fs::create_dir(&dir).unwrap();
        for key in ["host", "client", "stranger", "other-host"] {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(dir.join(key))
                .status();
            assert!(status.unwrap().success());
        }
        fs::copy(dir.join("client.pub"), dir.join("authorized_keys")).unwrap();
        if nix::unistd::geteuid().is_root() {
            // Where sshd, when root starts it, puts its children; the package's service makes it.
            let _ = fs::create_dir_all("/run/sshd");
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let at = dir.display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized_keys\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(dir.join("sshd_config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        crate::rig::eventually("sshd listens", Duration::from_secs(10), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let server = Self { child, dir, port };
        fs::write(server.known_hosts(), server.known("host")).unwrap();
        server
    }

    /// That repository, with the key that is let in.
    pub fn remote(&self, bare: &Path) -> Remote {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .unwrap()
            .unwrap()
            .name;
        Remote {
            url: format!("ssh://{user}@127.0.0.1:{}{}", self.port, bare.display()),
            identity_file: Some(self.dir.join("client")),
            known_hosts: Some(self.known_hosts()),
            credential_file: None,
        }
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    /// The line that makes a key the server's.
    pub fn known(&self, key: &str) -> String {
        let public = fs::read_to_string(self.dir.join(format!("{key}.pub"))).unwrap();
        format!("[127.0.0.1]:{} {public}", self.port)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
