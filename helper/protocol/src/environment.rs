//! Which environment variables reach helpers and what they start. Everything else stays behind:
//! the daemon's environment may hold secrets, and variables like `GIT_DIR` or `PYTHONPATH` change
//! what tools do.

use std::{collections::BTreeMap, ffi::OsString};

/// Where programs are looked for.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Environment of a process to start.
pub type Environment = BTreeMap<OsString, OsString>;

/// Who one is and where programs are.
const OWN: &[&str] = &[
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
];

/// How this machine reaches the network: proxies, certificates, package indexes.
const NETWORK: &[&str] = &[
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
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_PROXY",
    "NPM_CONFIG_HTTPS_PROXY",
    "NPM_CONFIG_NOPROXY",
    "npm_config_registry",
    "npm_config_cafile",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "npm_config_noproxy",
    "YARN_NPM_REGISTRY_SERVER",
    "YARN_HTTPS_CA_FILE_PATH",
    "YARN_HTTPS_PROXY",
    "GOPROXY",
    "GOPRIVATE",
    "GOSUMDB",
    "CARGO_HTTP_CAINFO",
    "CARGO_HTTP_PROXY",
];

/// Settings of installers, e.g. which index they ask.
const INSTALLERS: &[&str] = &["PIP_", "UV_"];
/// Where the machine's own Pythons are.
const PYTHONS: &str = "PYENV_";

/// Settings that would send packages elsewhere, or another Python's modules into an installer.
pub const DISTURBING: &[&str] = &[
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_NO_CACHE",
    "UV_PROJECT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_WORKING_DIRECTORY",
];
/// Where installers keep what they fetched: nothing of the network's.
const CACHES: &[&str] = &["PIP_CACHE_DIR", "UV_CACHE_DIR"];

/// Settings that mean the same to several programs. Where the first is missing, it takes the value of the
/// first of the others that is set.
const SAME: &[(&str, &[&str])] = &[
    ("UV_DEFAULT_INDEX", &["UV_INDEX_URL", "PIP_INDEX_URL"]),
    ("PIP_INDEX_URL", &["UV_DEFAULT_INDEX", "UV_INDEX_URL"]),
    ("UV_INDEX", &["UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"]),
    ("PIP_EXTRA_INDEX_URL", &["UV_EXTRA_INDEX_URL"]),
    (
        "SSL_CERT_FILE",
        &["PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"],
    ),
    ("PIP_CERT", &["SSL_CERT_FILE"]),
    ("REQUESTS_CA_BUNDLE", &["SSL_CERT_FILE"]),
    ("CURL_CA_BUNDLE", &["SSL_CERT_FILE"]),
    ("NODE_EXTRA_CA_CERTS", &["SSL_CERT_FILE"]),
    ("HTTP_PROXY", &["http_proxy"]),
    ("http_proxy", &["HTTP_PROXY"]),
    ("HTTPS_PROXY", &["https_proxy"]),
    ("https_proxy", &["HTTPS_PROXY"]),
    ("ALL_PROXY", &["all_proxy"]),
    ("all_proxy", &["ALL_PROXY"]),
    ("NO_PROXY", &["no_proxy"]),
    ("no_proxy", &["NO_PROXY"]),
];

/// The SSH agent: for the deploy identity only, whose keys it may hold.
pub const AGENT: &str = "SSH_AUTH_SOCK";

/// Those of this process's own variables that are passed on.
pub fn passed_on() -> Environment {
    std::env::vars_os()
        .filter(|(name, _)| is_passed(&name.to_string_lossy()))
        .collect()
}

/// How this process's machine reaches the network, for all commands that install or build.
pub fn network() -> BTreeMap<String, String> {
    let all = std::env::vars_os();
    network_of(
        all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

fn network_of(all: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let is_wanted =
        |name: &str| is_of_network(name) && !DISTURBING.contains(&name) && !CACHES.contains(&name);
    completed(all.filter(|(name, _)| is_wanted(name)).collect())
}

/// With the same setting for each program that has its own name for it.
pub fn completed(mut settings: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for (name, others) in SAME {
        let value = others
            .iter()
            .find_map(|other| settings.get(*other))
            .cloned();
        // uv's indexes may have a name in front, which pip does not know.
        let value =
            value.filter(|value| !name.starts_with("PIP_INDEX") || !value.contains("=http"));
        if let (Some(value), false) = (value, settings.contains_key(*name)) {
            settings.insert((*name).to_owned(), value);
        }
    }
    settings
}

/// User and password, or token, in the URLs of such settings.
pub fn credentials(settings: &BTreeMap<String, String>) -> Vec<String> {
    let words = settings.values().flat_map(|value| value.split([' ', ',']));
    let users = words.filter_map(|word| {
        let (_, rest) = word.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        Some(authority.rsplit_once('@')?.0)
    });
    let secrets = users.map(|user| user.split_once(':').map_or(user, |(_, password)| password));
    secrets.map(str::to_owned).collect()
}

fn is_of_network(name: &str) -> bool {
    NETWORK.contains(&name) || INSTALLERS.iter().any(|prefix| name.starts_with(prefix))
}

fn is_passed(name: &str) -> bool {
    OWN.contains(&name) || name.starts_with(PYTHONS) || is_of_network(name)
}

#[cfg(test)]
mod tests {
    use crate::environment::*;

    fn settings(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        list.iter().map(owned).collect()
    }

    #[test]
    fn the_network_is_told_to_each_program_in_its_words() {
        let told = network_of(
            settings(&[
                ("https_proxy", "http://proxy:1"),
                ("PIP_CERT", "/ca.pem"),
                ("PIP_INDEX_URL", "http://index"),
                ("PIP_TARGET", "/x"),
                ("UV_CACHE_DIR", "/x"),
                ("HOME", "/x"),
                ("SECRET", "x"),
            ])
            .into_iter(),
        );
        for (name, value) in [
            ("HTTPS_PROXY", "http://proxy:1"),
            ("SSL_CERT_FILE", "/ca.pem"),
            ("REQUESTS_CA_BUNDLE", "/ca.pem"),
            ("NODE_EXTRA_CA_CERTS", "/ca.pem"),
            ("UV_DEFAULT_INDEX", "http://index"),
        ] {
            assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
        }
        for name in ["PIP_TARGET", "UV_CACHE_DIR", "HOME", "SECRET"] {
            assert!(!told.contains_key(name), "{name}");
        }
        let own = completed(settings(&[("PIP_CERT", "/a"), ("SSL_CERT_FILE", "/b")]));
        assert_eq!((&*own["PIP_CERT"], &*own["SSL_CERT_FILE"]), ("/a", "/b"));
        // A program's own older word goes before another program's.
        let both = completed(settings(&[("PIP_INDEX_URL", "/p"), ("UV_INDEX_URL", "/u")]));
        assert_eq!(
            (&*both["UV_DEFAULT_INDEX"], &*both["PIP_INDEX_URL"]),
            ("/u", "/p")
        );
        let named = completed(settings(&[("UV_DEFAULT_INDEX", "corp=https://x")]));
        assert!(!named.contains_key("PIP_INDEX_URL"));
    }

    #[test]
    fn credentials_in_urls_are_found() {
        let found = credentials(&settings(&[
            ("A", "https://anna:hunter2@x/simple https://token@y"),
            ("B", "http://z:80/@"),
        ]));
        assert_eq!(found, ["hunter2", "token"]);
    }

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
