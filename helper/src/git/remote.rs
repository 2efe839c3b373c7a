//! What a remote's URL is and which ways of transport it opens.

use cid_protocol::fault::Fault;
use std::path::{Path, PathBuf};

/// A URL of a kind that cid takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Url {
    /// `https://...`
    Https(String),
    /// `ssh://...` or `user@host:path`.
    Ssh(String),
    /// `file:///...` or an absolute path, the operator's own choice.
    Local(PathBuf),
}

impl Url {
    /// Reads one.
    ///
    /// # Errors
    /// It is of another kind, or could be taken for an option or hold more than one line.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let refuse = |why: &str| {
            Err(Fault::new(format!("cannot use {} as the repository's URL: {why}", without_secret(text)))
                .hint("use https://, ssh://, user@host:path, or for a local repository file:// or an absolute path"))
        };
        if text.chars().any(char::is_control) || text.starts_with('-') {
            return refuse("it holds characters that no URL has");
        }
        if let Some(path) = text.strip_prefix("file://") {
            return if path.starts_with('/') {
                Ok(Self::Local(path.into()))
            } else {
                refuse("its path is not absolute")
            };
        }
        if text.starts_with('/') {
            return Ok(Self::Local(text.into()));
        }
        let url = if text.starts_with("https://") {
            Self::Https(text.to_owned())
        } else if text.starts_with("ssh://") || (!text.contains("://") && is_scp_like(text)) {
            Self::Ssh(text.to_owned())
        } else {
            return refuse("its kind is not supported");
        };
        let host = url.host();
        if host.is_empty() || host.starts_with('-') {
            refuse("it names no host")
        } else {
            Ok(url)
        }
    }

    /// What git may use to reach it.
    pub(super) fn protocol(&self) -> &'static str {
        match self {
            Self::Https(_) => "https",
            Self::Ssh(_) => "ssh",
            Self::Local(_) => "file",
        }
    }

    /// What git is given.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Https(text) | Self::Ssh(text) => text.clone(),
            Self::Local(path) => path.to_string_lossy().into_owned(),
        }
    }

    /// For people: without a password or token.
    pub(super) fn shown(&self) -> String {
        without_secret(&self.text())
    }

    /// The host's name with a port other than the usual as ssh-keyscan takes it; empty for a local one.
    pub(super) fn host(&self) -> &str {
        let (Self::Https(text) | Self::Ssh(text)) = self else {
            return "";
        };
        let authority = match text.split_once("://") {
            Some((_, rest)) => rest.split('/').next().unwrap_or_default(),
            None => text.split(':').next().unwrap_or_default(),
        };
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        host.split_once(':').map_or(host, |(host, _)| host)
    }

    /// The port, when the URL names one.
    pub(super) fn port(&self) -> Option<&str> {
        let (Self::Https(text) | Self::Ssh(text)) = self else {
            return None;
        };
        let authority = text.split_once("://")?.1.split('/').next()?;
        let (_, port) = authority.rsplit_once(':')?;
        (!port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then_some(port)
    }

    /// The path of a local repository.
    pub(super) fn local(&self) -> Option<&Path> {
        if let Self::Local(path) = self {
            Some(path)
        } else {
            None
        }
    }
}

/// `user@host:path`, as scp writes it: no slash before the first colon.
fn is_scp_like(text: &str) -> bool {
    text.split_once(':').is_some_and(|(host, path)| {
        !host.is_empty() && !host.contains('/') && !path.is_empty() && !path.starts_with(':')
    })
}

/// Takes passwords and tokens out of the URLs in a text: `https://user:secret@host` loses all
/// before the `@`; a mere user name stays for ssh, where it is no secret.
pub(super) fn without_secret(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        shown.push_str(head);
        let end = tail
            .find(|c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"')
            .unwrap_or(tail.len());
        let authority = &tail[..end];
        let is_ssh = head.ends_with("ssh://");
        match authority.rsplit_once('@') {
            Some((user, host)) if !is_ssh || user.contains(':') => {
                shown.push_str("***@");
                shown.push_str(host);
            }
            _ => shown.push_str(authority),
        }
        rest = &tail[end..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use crate::git::remote::*;

    #[test]
    fn takes_four_kinds() {
        let table = [
            (
                "https://git.example.org/a.git",
                "https",
                "git.example.org",
                None,
            ),
            (
                "https://u:p@git.example.org:8443/a.git",
                "https",
                "git.example.org",
                Some("8443"),
            ),
            (
                "ssh://git@git.example.org:2222/a.git",
                "ssh",
                "git.example.org",
                Some("2222"),
            ),
            (
                "git@git.example.org:team/a.git",
                "ssh",
                "git.example.org",
                None,
            ),
            ("/srv/git/a.git", "file", "", None),
            ("file:///srv/git/a.git", "file", "", None),
        ];
        for (text, protocol, host, port) in table {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.protocol(), url.host(), url.port()),
                (protocol, host, port),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_could_run_programs_or_is_none() {
        for text in [
            "ext::sh -c id",
            "fd::17",
            "--upload-pack=id",
            "-oProxyCommand=id",
            "ssh://-oProxyCommand=id/x",
            "ssh://git@-oProxyCommand=id/x",
            "-x@host:path",
            "git@-oProxyCommand=id:x",
            "http://example.org/a",
            "git://example.org/a",
            "ftp://example.org/a",
            "relative/path",
            "./a:b",
            "file://host/x",
            "https:///x",
            "https://host/\n-x",
            "ssh://host/a\0b",
            "",
        ] {
            assert!(Url::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn hides_secrets() {
        assert_eq!(
            without_secret("https://u:tok@h/x failed"),
            "https://***@h/x failed"
        );
        assert_eq!(without_secret("'https://tok@h/x'"), "'https://***@h/x'");
        assert_eq!(without_secret("ssh://git@h/x"), "ssh://git@h/x");
        assert_eq!(without_secret("git@h:x"), "git@h:x");
    }
}
