//! What installers are told by their environment.

use crate::deps::work::Work;
use cid_protocol::environment::{DISTURBING, Environment, passed_on};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::Path,
};

/// Who an installer is and where it finds programs is cid's to say.
const CIDS: &[&str] = &["HOME", "LOGNAME", "PATH", "TMPDIR", "USER"];

/// The whole environment of installers and of what they build.
pub(super) fn environment(
    target: &Path,
    work: &Work,
    told: &BTreeMap<String, String>,
) -> Environment {
    let mut env = of_operator(told);
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
pub(super) fn of_operator(told: &BTreeMap<String, String>) -> Environment {
    let mut env = passed_on();
    let told = told
        .iter()
        .filter(|(name, _)| !CIDS.contains(&name.as_str()));
    env.extend(told.map(|(name, value)| (name.into(), value.into())));
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
