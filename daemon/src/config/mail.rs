//! `[mail]` of `cid.toml`: how cid sends mail.

use crate::domain::Email;
use serde::Deserialize;
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

/// A mail server that takes cid's mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Mail {
    /// The address that mail comes from.
    pub from: Email,
    /// The server.
    pub host: MailHost,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// A file with `USER:PASSWORD`, for root alone; `None`: the server asks for none.
    pub credential: Option<CredentialFile>,
}

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    from: Email,
    host: MailHost,
    port: Option<u16>,
    #[serde(default)]
    tls: MailTls,
    credential: Option<CredentialFile>,
}

impl TryFrom<Written> for Mail {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written {
            from,
            host,
            port,
            tls,
            credential,
        } = written;
        if tls == MailTls::None && !host.is_loopback() {
            return Err(format!(
                "tls = \"none\" is for a server on this machine, and {} is another machine: a link to sign in \
                 could be read on its way",
                host.as_str()
            ));
        }
        let port = port.unwrap_or(match tls {
            MailTls::Starttls => 587,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        });
        Ok(Self {
            from,
            host,
            port,
            tls,
            credential,
        })
    }
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// It begins in plain text and goes on encrypted, or not at all.
    #[default]
    Starttls,
    /// It is encrypted from the beginning.
    Implicit,
    /// It is not: for a server on this machine.
    None,
}

/// A mail server's name or address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MailHost(String);

impl MailHost {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_loopback(&self) -> bool {
        self.0 == "localhost" || self.0.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

impl TryFrom<String> for MailHost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let is_name = text.len() <= 253 && text.split('.').all(is_label);
        match is_name || text.parse::<IpAddr>().is_ok() {
            true => Ok(Self(text)),
            false => Err(format!(
                "`{text}` is no host; it is like smtp.example.org, and its port is a key of its own"
            )),
        }
    }
}

/// Where user and password for the server are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
pub struct CredentialFile(PathBuf);

impl CredentialFile {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<PathBuf> for CredentialFile {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        match path.is_absolute() {
            true => Ok(Self(path)),
            false => Err(format!("`{}` does not begin with /", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Mail, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.to_string())
    }

    #[test]
    fn a_server_has_the_port_of_its_protection() {
        let base = "from = \"cid@example.org\"\nhost = \"smtp.example.org\"\n";
        let port = |more: &str| read(&format!("{base}{more}")).unwrap().port;
        assert_eq!(port(""), 587);
        assert_eq!(port("tls = \"implicit\"\n"), 465);
        assert_eq!(port("port = 2525\n"), 2525);
        for host in ["localhost", "127.0.0.1", "::1"] {
            let text = format!("from = \"cid@example.org\"\nhost = \"{host}\"\ntls = \"none\"\n");
            assert_eq!(read(&text).unwrap().port, 25, "{host}");
        }
    }

    #[test]
    fn what_could_be_read_on_its_way_or_is_no_server_is_refused() {
        let from = "from = \"cid@example.org\"\n";
        for (text, word) in [
            (
                "host = \"smtp.example.org\"\ntls = \"none\"",
                "on this machine",
            ),
            (
                "host = \"localhost.example.org\"\ntls = \"none\"",
                "on this machine",
            ),
            ("host = \"10.0.0.1\"\ntls = \"none\"", "on this machine"),
            ("host = \"smtp.example.org:25\"", "no host"),
            ("host = \"\"", "no host"),
            ("host = \"-x\"", "no host"),
            ("host = \"a\\r\\nb\"", "no host"),
            ("host = \"h\"\ntls = \"ssl\"", "starttls"),
            ("host = \"h\"\ncredential = \"mail\"", "begin with /"),
            ("host = \"h\"\npassword = \"x\"", "unknown field"),
        ] {
            let said = read(&format!("{from}{text}\n")).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
        assert!(read("host = \"h\"\n").unwrap_err().contains("from"));
        let named = "from = \"cid <cid@example.org>\"\nhost = \"h\"\n";
        assert!(read(named).is_err());
    }
}
