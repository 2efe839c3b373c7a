//! A certificate and its key, read and checked.

use cid_protocol::fault::Fault;
use data_encoding::BASE64;
use jiff::Timestamp;
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use std::{fs::OpenOptions, io::Read, os::unix::fs::OpenOptionsExt, path::Path};
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// A chain of ten RSA certificates takes 20 KiB.
const MAX_BYTES: u64 = 256 * 1024;
const PEM_LINE: usize = 64;
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A certificate with its chain and its private key, which belong together and are good for some host names.
pub struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    not_after: Timestamp,
}

impl Pair {
    /// Reads the operator's two files and checks that all `hosts` can be shown with them now: names, or `*.DOMAIN`.
    ///
    /// # Errors
    /// One cannot be read or parsed, they do not belong together, the time is not within the
    /// certificate's, or it is not for one of `hosts`. The fault names the file and holds nothing of the key.
    pub fn read(
        certificate: &Path,
        key: &Path,
        hosts: &[String],
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let chain = chain(&read_file("certificate", certificate)?, certificate)?;
        let private = private_key(&read_file("key", key)?, key)?;
        let leaf = chain.first().ok_or_else(|| no_certificate(certificate))?;
        let not_after = check_leaf(leaf, hosts, now).map_err(|why| {
            Fault::new(format!(
                "cannot use the certificate {}: {why}",
                certificate.display()
            ))
            .hint("renew it, or mend tls.certificate in the project file; then reload cid")
        })?;
        check_key(&chain, &private, certificate, key)?;
        Ok(Self {
            chain,
            key: private,
            not_after,
        })
    }

    /// The first certificate of a file that cid has written itself, in DER.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn leaf_of(copy: &Path) -> Result<CertificateDer<'static>, Fault> {
        let chain = chain(&read_file("certificate", copy)?, copy)?;
        chain.into_iter().next().ok_or_else(|| no_certificate(copy))
    }

    /// When it expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// One file with all of it, which nginx takes for both of its settings: so that no moment sees a
    /// certificate with another one's key. Only what was understood is in it.
    pub fn to_pem(&self) -> String {
        let mut text = String::new();
        for certificate in &self.chain {
            push_pem(&mut text, "CERTIFICATE", certificate);
        }
        let label = match &self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        push_pem(&mut text, label, self.key.secret_der());
        text
    }
}

fn read_file(what: &str, path: &Path) -> Result<Vec<u8>, Fault> {
    let hint = match nix::unistd::geteuid().is_root() {
        true => {
            "cid reads it as root, and sees no homes; mend the file or tls in the project file, then reload cid"
        }
        false => "mend the file or tls in the project file, then: cictl project check",
    };
    let fail =
        |error: std::io::Error| Fault::io(&format!("read the {what}"), path, error).hint(hint);
    let is_none = |why: &str| {
        Fault::new(format!("cannot use the {what} {}: {why}", path.display())).hint(hint)
    };
    // A pipe in its place must not be waited for.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(is_none("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(is_none("it is larger than 256 KiB"));
    }
    // Editors of Windows begin a text so.
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    Ok(bytes)
}

fn no_certificate(path: &Path) -> Fault {
    Fault::new(format!(
        "cannot use the certificate {}: there is none in it",
        path.display()
    ))
    .hint("it must be PEM: -----BEGIN CERTIFICATE-----, the server's own first, then its chain")
}

fn chain(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if chain.is_empty() => Err(no_certificate(path)),
        Ok(chain) => Ok(chain),
        Err(error) => {
            let why = match error {
                pem::Error::MissingSectionEnd { .. } => {
                    "it is cut off: its line -----END CERTIFICATE----- is missing".to_owned()
                }
                error => error.to_string(),
            };
            let path = path.display();
            Err(
                Fault::new(format!("cannot use the certificate {path}: {why}"))
                    .hint("it must be PEM"),
            )
        }
    }
}

/// The parser's own words are not passed on: they might quote the key.
fn private_key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        Fault::new(format!(
            "cannot use the key {}: there is no private key in it that cid can read",
            path.display()
        ))
        .hint("it must be PEM and have no passphrase: -----BEGIN PRIVATE KEY-----")
    })
}

/// Is this certificate good now, for all of these names? Gives when it expires.
fn check_leaf(
    leaf: &CertificateDer<'_>,
    hosts: &[String],
    now: Timestamp,
) -> Result<Timestamp, String> {
    let parsed =
        Certificate::from_der(leaf).map_err(|error| format!("it cannot be read: {error}"))?;
    let part = &parsed.tbs_certificate;
    let time = |time: x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    };
    let (begin, end) = (
        time(part.validity.not_before),
        time(part.validity.not_after),
    );
    if now >= end {
        return Err(format!("it expired at {end}"));
    }
    if now < begin {
        return Err(format!("it is not valid before {begin}"));
    }
    let names = match part.get::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0,
        Ok(None) => Vec::new(),
        Err(error) => return Err(format!("its names cannot be read: {error}")),
    };
    let names: Vec<String> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    match hosts.iter().find(|host| !is_for(&names, host)) {
        None => Ok(end),
        Some(host) if names.is_empty() => Err(format!("it is not for {host}: it names no host")),
        Some(host) => Err(format!("it is for {} and not for {host}", names.join(", "))),
    }
}

/// Whether a certificate for these names is for a host. Its `*` stands for one label, the first.
fn is_for(names: &[String], host: &str) -> bool {
    let below = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
    names
        .iter()
        .any(|name| name == host || below.as_ref() == Some(name))
}

fn check_key(
    chain: &[CertificateDer<'static>],
    private: &PrivateKeyDer<'static>,
    certificate: &Path,
    key: &Path,
) -> Result<(), Fault> {
    let (certificate, key) = (certificate.display(), key.display());
    let signing = any_supported_type(private).map_err(|_| {
        Fault::new(format!(
            "cannot use the key {key}: it is of no kind that cid knows"
        ))
        .hint("use RSA of 2048 to 8192 bits, ECDSA with P-256 or P-384, or Ed25519")
    })?;
    CertifiedKey::new(chain.to_vec(), signing)
        .keys_match()
        .map_err(|_| {
            Fault::new(format!(
                "cannot use the key {key}: it does not belong to the certificate {certificate}"
            ))
            .hint("give the two that were issued together, then reload cid")
        })
}

fn push_pem(text: &mut String, label: &str, der: &[u8]) {
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let encoded = BASE64.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
