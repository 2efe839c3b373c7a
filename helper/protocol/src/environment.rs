//! Which environment variables reach helpers and what they start. Everything else stays behind:
//! the daemon's environment may hold secrets, and variables like `GIT_DIR` or `PYTHONPATH` change
//! what tools do.

use std::{collections::BTreeMap, ffi::OsString};

/// Where programs are looked for.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Environment of a process to start.
pub type Environment = BTreeMap<OsString, OsString>;

/// Who one is, where programs are, and how this machine reaches the network: proxies,
/// certificates, package indexes.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "RUST_BACKTRACE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
];

/// Settings of installers, e.g. which index they ask.
const PASSED_PREFIXES: &[&str] = &["PIP_", "UV_", "PYENV_"];

/// The SSH agent: for the deploy identity only, whose keys it may hold.
pub const AGENT: &str = "SSH_AUTH_SOCK";

/// Those of this process's own variables that are passed on.
pub fn passed_on() -> Environment {
    std::env::vars_os()
        .filter(|(name, _)| is_passed(&name.to_string_lossy()))
        .collect()
}

fn is_passed(name: &str) -> bool {
    PASSED.contains(&name)
        || PASSED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use crate::environment::*;

    #[test]
    fn passes_the_way_to_the_network_and_nothing_that_changes_tools() {
        for name in ["PATH", "PIP_CERT", "UV_INDEX_URL", "https_proxy"] {
            assert!(is_passed(name), "{name}");
        }
        for name in [
            "GIT_DIR",
            "PYTHONPATH",
            "LD_PRELOAD",
            "CID_SECRET",
            AGENT,
            "NOTIFY_SOCKET",
        ] {
            assert!(!is_passed(name), "{name}");
        }
    }
}
