//! What installers are told by their environment.

use crate::helper::{
    environment::{Environment, passed_on},
    request::BuildEnvironment,
};
use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
};

/// Settings of a person's own that would send packages elsewhere.
const DISTURBING: &[&str] = &[
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
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
pub(super) fn environment(ask: &BuildEnvironment) -> Environment {
    let mut env = passed_on();
    for name in DISTURBING {
        env.remove(OsStr::new(name));
    }
    for (pip, uv) in ALSO_FOR_UV {
        if let Some(value) = env.get(OsStr::new(pip)).cloned() {
            env.entry(uv.into()).or_insert(value);
        }
    }
    let mut path = OsString::from(ask.target.join("bin"));
    if let Some(rest) = env.get(OsStr::new("PATH")) {
        path.push(":");
        path.push(rest);
    }
    env.extend(cache(&ask.tools_dir).map(|(name, value)| (name.into(), value)));
    let fixed: [(&str, OsString); 10] = [
        ("PATH", path),
        ("LC_ALL", "C.UTF-8".into()),
        ("VIRTUAL_ENV", ask.target.clone().into()),
        ("UV_PROJECT_ENVIRONMENT", ask.target.clone().into()),
        ("UV_PYTHON_DOWNLOADS", "never".into()),
        ("UV_NO_PROGRESS", "1".into()),
        // A hard link's access list is shared with every other environment's.
        ("UV_LINK_MODE", "copy".into()),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1".into()),
        ("PIP_PROGRESS_BAR", "off".into()),
        ("PIP_NO_INPUT", "1".into()),
    ];
    env.extend(fixed.map(|(name, value)| (name.into(), value)));
    env
}

/// A cache is kept only where this user may write one.
fn cache(tools_dir: &Path) -> [(&'static str, OsString); 2] {
    let cache = tools_dir.join("cache");
    let is_own = fs::create_dir_all(&cache).is_ok()
        && rustix::fs::access(&cache, rustix::fs::Access::WRITE_OK).is_ok();
    if is_own {
        [
            ("UV_CACHE_DIR", cache.join("uv").into()),
            ("PIP_CACHE_DIR", cache.join("pip").into()),
        ]
    } else {
        [
            ("UV_NO_CACHE", "1".into()),
            ("PIP_NO_CACHE_DIR", "1".into()),
        ]
    }
}
