//! Pythons that cid fetches, by uv, where the operator lets it.

use super::{
    python::{self, Found, Version},
    settings, uv,
};
use crate::{
    Lines,
    command::{self, Code},
    inspect::wanted::Wanted,
};
use cid_protocol::{environment::Environment, fault::Fault, request::BringPython};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// One that was brought in and fits.
pub(super) fn find(tools_dir: &Path, wanted: &Wanted, env: &Environment) -> Option<Found> {
    let all = all(tools_dir);
    wanted.each().iter().find_map(|one| {
        all.iter()
            .filter(|(version, _)| one.takes(*version))
            .find_map(|(_, path)| python::look_at(path.clone(), env))
    })
}

/// Fetches one, which uv puts there whole or not at all. One of the same minor version that is there stays.
///
/// # Errors
/// There is no uv and it cannot be brought in, or the Python cannot be fetched.
pub(super) fn bring(ask: &BringPython, lines: Lines) -> Result<(), Fault> {
    let minor = ask.minor;
    let is_there = |([_, one, _], _): &(Version, PathBuf)| *one == minor;
    if all(&ask.tools_dir).iter().any(is_there) {
        return Ok(());
    }
    let mut env = settings::of_operator(&ask.env);
    let found = || uv::find(&ask.tools_dir, &env);
    let uv = match found() {
        Some(uv) => uv,
        None => {
            uv::bring(&ask.tools_dir, &ask.env, lines)?;
            found().ok_or_else(|| Fault::new("cannot find uv after it was installed"))?
        }
    };
    lines(&format!("Python 3.{minor} is not here; fetching it"));
    let place = folder(&ask.tools_dir);
    fs::create_dir_all(&place).map_err(|error| Fault::io("make", &place, error))?;
    // uv has a cache for what it unpacks, on the same file system.
    let cache = place.join(".cache");
    env.extend([
        ("UV_PYTHON_INSTALL_DIR".into(), place.clone().into()),
        ("UV_PYTHON_DOWNLOADS".into(), "manual".into()),
        // No program of that name is put among a person's own.
        ("UV_PYTHON_INSTALL_BIN".into(), "0".into()),
        ("UV_NO_PROGRESS".into(), "1".into()),
        ("UV_CACHE_DIR".into(), cache.clone().into()),
    ]);
    let words = ["python", "install"].map(OsString::from);
    let argv: Vec<OsString> = std::iter::once(uv.into())
        .chain(words)
        .chain([format!("3.{minor}").into()])
        .collect();
    let said: Mutex<Option<String>> = Mutex::default();
    let status = command::run(Code::Untrusted, &argv, &env, Path::new("/"), &|line| {
        let text = line.trim().trim_start_matches("error: ");
        let text = text.trim_start_matches("cause: ");
        *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
        lines(line);
    });
    // Downloads are not needed twice, and anybody could hold the lock: only one job at a time comes here.
    let _ = crate::tree::purge::purge(&cache);
    let _ = fs::remove_file(place.join(".lock"));
    let status = status?;
    if status.success() {
        return Ok(());
    }
    let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
    let cause = said.unwrap_or_else(|| format!("uv ended with status {}", command::code(status)));
    Err(
        Fault::new(format!("cannot fetch Python 3.{minor}: {cause}")).hint(format!(
            "uv fetches it from GitHub, or from where UV_PYTHON_INSTALL_MIRROR in cid's environment says: that must be \
             reachable. Or install python3.{minor}, or name one that is there as python in [app] of the project file"
        )),
    )
}

fn folder(tools_dir: &Path) -> PathBuf {
    tools_dir.join("python")
}

/// Those that are there, the oldest first: of packages from the time of a range it is the likeliest to fit.
fn all(tools_dir: &Path) -> Vec<(Version, PathBuf)> {
    let entries = fs::read_dir(folder(tools_dir)).into_iter().flatten();
    let mut found: Vec<(Version, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            // `cpython-3.14.0-linux-x86_64-gnu`; beside it a link without the last number.
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("cpython-")?.split('-').next()?;
            let version = version.split(['a', 'b', 'r', '+']).next()?;
            let version: Version = python::numbers(version)?.try_into().ok()?;
            let program = entry
                .path()
                .join("bin")
                .join(format!("python3.{}", version[1]));
            program.exists().then_some((version, program))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn those_that_were_brought_are_found_by_their_folders() {
        let dir = tempfile::tempdir().unwrap();
        let made = |name: &str, version: &str, says: &str| {
            let bin = folder(dir.path()).join(name).join("bin");
            fs::create_dir_all(&bin).unwrap();
            let program = bin.join(version);
            fs::write(&program, format!("#!/bin/sh\necho {says}\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            program
        };
        let newer = made("cpython-3.98.1-linux-x86_64-gnu", "python3.98", "3 98 1");
        let older = made("cpython-3.97.0rc2-linux-x86_64-gnu", "python3.97", "3 97 0");
        made("cpython-3.96-linux-x86_64-gnu", "python3.96", "3 96 0");
        made("pypy-3.95.1", "python3.95", "3 95 1");
        let env = Environment::from([("PATH".into(), "/usr/bin:/bin".into())]);
        let of = |pins: &str, requires| {
            let found = find(dir.path(), &Wanted::of(pins, requires), &env);
            found.map(|found| found.path)
        };
        assert_eq!(of("", Some(">=3.90")), Some(older));
        assert_eq!(of("3.98", None), Some(newer));
        assert_eq!(of("3.96", None), None);
        assert_eq!(of("3.95", None), None);
        // It is there already: nothing is fetched.
        let ask = BringPython {
            minor: 98,
            tools_dir: dir.path().to_owned(),
            env: std::collections::BTreeMap::new(),
        };
        assert_eq!(bring(&ask, &|_| ()), Ok(()));
    }
}
