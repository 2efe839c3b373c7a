//! A git server over https, with a certificate of its own, that wants a token.

use crate::{command::run, wait::wait_until};
use anyhow::{Context, Result};
use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The server; dropping it ends it.
#[derive(Debug)]
pub struct HttpsGit {
    dir: PathBuf,
    port: u16,
    server: Child,
}

impl HttpsGit {
    /// The server's program, in Python: `PORT ROOT TOKEN_FILE CERTIFICATE`, the last with its key.
    pub const PROGRAM: &str = include_str!("https.py");

    /// Serves the repositories in `root` to clients that present the `USER:TOKEN` in `token_file`. Its own
    /// files go into `dir`.
    ///
    /// # Errors
    /// There is no openssl or python3, or it does not answer.
    pub fn start(dir: &Path, root: &Path, token_file: &Path, port: u16) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let (both, program) = (dir.join("both.pem"), dir.join("https.py"));
        fs::write(&program, Self::PROGRAM)?;
        let mut make = Command::new("openssl");
        make.args([
            "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .arg("-keyout")
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("certificate.pem"));
        run(&mut make, Duration::from_secs(30))?.ok()?;
        let parts = ["key.pem", "certificate.pem"].map(|name| fs::read_to_string(dir.join(name)));
        let [key, certificate] = parts;
        fs::write(&both, format!("{}{}", key?, certificate?))?;
        let server = Command::new("python3")
            .arg(&program)
            .arg(port.to_string())
            .args([root, token_file, &both])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start python3")?;
        let dir = dir.to_owned();
        let started = Self { dir, port, server };
        wait_until("the git server", Duration::from_secs(20), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        })?;
        Ok(started)
    }

    /// Where a repository in its root is.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/{name}", self.port)
    }

    /// What a client has to trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("certificate.pem")
    }
}

impl Drop for HttpsGit {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
