//! Finds uv, or brings it in.

use super::{python, settings};
use crate::{
    Lines,
    command::{self, Code},
    inspect::wanted::Wanted,
    tree::purge,
};
use cid_protocol::{
    environment::Environment,
    fault::{Fault, FaultContext},
};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

/// The machine's own, or else cid's.
pub(super) fn find(tools_dir: &Path, env: &Environment) -> Option<PathBuf> {
    command::find(OsStr::new("uv"), env, Path::new("/"))
        .ok()
        .filter(|path| works(path, env))
        .or_else(|| Some(ours(tools_dir)).filter(|path| path.exists()))
}

fn ours(tools_dir: &Path) -> PathBuf {
    tools_dir.join("uv/bin/uv")
}

/// A wrapper that picks versions may be on PATH without there being a uv behind it.
fn works(uv: &Path, env: &Environment) -> bool {
    command::capture(
        Code::Untrusted,
        &[uv.into(), "--version".into()],
        env,
        Path::new("/"),
    )
    .is_ok_and(|(status, _)| status.success())
}

/// Installs it beside its place and renames it, so that it is there whole or not at all. An existing one
/// stays. The caller makes sure that no other process does the same at the same time.
///
/// # Errors
/// It cannot be installed.
pub(super) fn bring(
    tools_dir: &Path,
    told: &BTreeMap<String, String>,
    lines: Lines,
) -> Result<(), Fault> {
    if ours(tools_dir).exists() {
        return Ok(());
    }
    lines("uv is not installed; fetching it");
    let env = settings::of_operator(told);
    let python = python::find(&Wanted::default(), &env).ok_or_else(python::none)?;
    fs::create_dir_all(tools_dir).map_err(|error| Fault::io("make", tools_dir, error))?;
    let (new, place) = (tools_dir.join("uv.new"), tools_dir.join("uv"));
    for rest in [&new, &place] {
        purge::purge(rest)?;
    }
    let venv = ["-I", "-m", "venv"].map(OsString::from);
    run(
        python.path,
        venv.into_iter().chain([new.clone().into()]),
        &env,
        lines,
    )?;
    // Only what is built already: nothing of a package's runs at its installation.
    let pip = [
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary=:all:",
        "uv",
    ];
    run(new.join("bin/python"), pip.map(OsString::from), &env, lines)?;
    fs::rename(&new, place).cannot(format!("put uv into {}", tools_dir.display()))
}

fn run(
    program: PathBuf,
    arguments: impl IntoIterator<Item = OsString>,
    env: &Environment,
    lines: Lines,
) -> Result<(), Fault> {
    let argv: Vec<OsString> = std::iter::once(program.into()).chain(arguments).collect();
    let status = command::run(Code::Untrusted, &argv, env, Path::new("/"), lines)?;
    if status.success() {
        Ok(())
    } else {
        Err(Fault::new(format!(
            "cannot install uv: status {}",
            command::code(status)
        )))
    }
}
