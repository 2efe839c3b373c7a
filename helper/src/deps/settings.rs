//! What installers are told by their environment.

use crate::deps::work::Work;
use cid_protocol::environment::{Environment, passed_on};
use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// Settings of a person's own that would send packages elsewhere.
const DISTURBING: &[&str] = &[
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "UV_NO_CACHE",
    "UV_PROJECT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_WORKING_DIRECTORY",
];
/// An operator who told pip where packages are means uv as well.
const ALSO_FOR_UV: &[(&str, &str)] = &[
    ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
    ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
    ("PIP_CERT", "SSL_CERT_FILE"),
];

/// The whole environment of installers and of what they build.
pub(super) fn environment(target: &Path, work: &Work) -> Environment {
    let mut env = of_operator();
    for (pip, uv) in ALSO_FOR_UV {
        if let Some(value) = env.get(OsStr::new(pip)).cloned() {
            env.entry(uv.into()).or_insert(value);
        }
    }
    env.extend(work.home().map(|home| ("HOME".into(), home.into())));
    let mut path = OsString::from(target.join("bin"));
    if let Some(rest) = env.get(OsStr::new("PATH")) {
        path.push(":");
        path.push(rest);
    }
    let fixed: [(&str, OsString); 7] = [
        ("PATH", path),
        ("VIRTUAL_ENV", target.into()),
        ("UV_PROJECT_ENVIRONMENT", target.into()),
        ("UV_PYTHON_DOWNLOADS", "never".into()),
        ("UV_NO_PROGRESS", "1".into()),
        ("UV_CACHE_DIR", work.cache().into()),
        // Nobody else has a link to the same file, and the cache goes.
        ("UV_LINK_MODE", "hardlink".into()),
    ];
    env.extend(fixed.map(|(name, value)| (name.into(), value)));
    env
}

/// What the operator, or in a sandbox its person, tells installers, and nothing of a build's.
pub(super) fn of_operator() -> Environment {
    let mut env = passed_on();
    for name in DISTURBING {
        env.remove(OsStr::new(name));
    }
    let fixed = [
        ("LC_ALL", "C.UTF-8"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_NO_INPUT", "1"),
        ("PIP_PROGRESS_BAR", "off"),
        // Says of a package in a folder where it is from.
        ("PIP_USE_PEP517", "1"),
    ];
    env.extend(fixed.map(|(name, value)| (name.into(), value.into())));
    env
}
