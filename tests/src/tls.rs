//! Certificates made for a test, and a client that trusts nothing but one of them.

use crate::http::{Answer, parse};
use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A self-signed certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// In PEM.
    pub certificate: String,
    /// In PEM.
    pub key: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// For every name below a domain, good until the first day of a year.
    ///
    /// # Errors
    /// The domain is not one.
    pub fn wildcard(domain: &str, until: i32) -> Result<Self> {
        Self::of(&[&format!("*.{domain}")], until)
    }

    /// For these names, good until the first day of a year.
    ///
    /// # Errors
    /// One of them is not a name.
    pub fn of(names: &[&str], until: i32) -> Result<Self> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate()?;
        let made = params.self_signed(&key)?;
        Ok(Self {
            certificate: made.pem(),
            key: key.serialize_pem(),
            der: made.der().clone(),
        })
    }

    /// Writes both to a folder: certificate, key.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(PathBuf, PathBuf)> {
        fs::create_dir_all(dir)?;
        let (certificate, key) = (dir.join("fullchain.pem"), dir.join("privkey.pem"));
        fs::write(&certificate, &self.certificate)?;
        fs::write(&key, &self.key)?;
        Ok((certificate, key))
    }

    /// Asks for a page over HTTPS at a port of this machine, as a browser that trusts this certificate
    /// alone.
    ///
    /// # Errors
    /// Nothing answers, or with another certificate, or not in HTTP.
    pub fn get(&self, port: u16, host: &str, path: &str) -> Result<Answer> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned())?;
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream);
        let request = format!("GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            // Some servers hang up without TLS's own goodbye.
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => {}
        }
        parse(&String::from_utf8_lossy(&bytes)).with_context(|| format!("https://{host}{path}"))
    }
}
