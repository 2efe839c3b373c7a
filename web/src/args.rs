use clap::Parser;
use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// The web front of cid.
///
/// It needs no privilege: run it as a user of its own that may connect to the daemon's
/// `web.sock`, behind nginx. CID_WEB_LOG sets what is logged (default: info).
#[derive(Debug, Parser)]
#[command(name = "cid-web", version)]
pub struct Args {
    /// Where to answer: unix:PATH, or ADDRESS:PORT
    #[arg(long, value_name = "WHERE", env = "CID_WEB_LISTEN")]
    pub listen: Listen,

    /// The daemon's socket for the front
    #[arg(
        long,
        value_name = "PATH",
        env = "CID_WEB_SOCKET",
        default_value = "/run/cid/web/web.sock"
    )]
    pub socket: PathBuf,
}

/// Where the front answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A Unix socket, for an nginx in front.
    Unix(PathBuf),
    /// A TCP address, usually 127.0.0.1 and a port.
    Tcp(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("unix: needs a path, for example unix:/run/cid/http.sock".to_owned()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            "give unix:PATH or an address and a port, for example 127.0.0.1:8080".to_owned()
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "http://{address}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_is_a_path_or_an_address() {
        assert_eq!(
            "unix:/run/x.sock".parse(),
            Ok(Listen::Unix("/run/x.sock".into()))
        );
        assert_eq!(
            "127.0.0.1:80".parse(),
            Ok(Listen::Tcp(([127, 0, 0, 1], 80).into()))
        );
        for bad in ["", "unix:", "80", "localhost", "/run/x.sock"] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }
}
