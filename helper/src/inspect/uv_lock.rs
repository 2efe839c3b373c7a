//! `uv.lock` beside `pyproject.toml`, or above it at the root of a uv workspace.

use crate::inspect::{
    declared::{Declared, package_name},
    freshness, pyproject,
    snapshot::{Snapshot, beneath},
};
use cid_protocol::fault::Fault;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file looked for.
pub(super) const FILE: &str = "uv.lock";

/// Reads it; the lock names every package and where it comes from.
pub(super) fn read(snapshot: &Snapshot<'_>) -> Result<Option<Declared>, Fault> {
    let own = snapshot.app_dir.join(pyproject::FILE);
    let Some(content) = snapshot.read_at(&own)? else {
        return Ok(None);
    };
    let project = pyproject::parse(&content, &own)?;
    let Some(folder) = folder_of_lock(snapshot)? else {
        return Ok(None);
    };
    let mut declared = Declared::default();
    declared.files.insert(own, content);
    let path = folder.join(FILE);
    let Some(content) = snapshot.read_at(&path)? else {
        return Ok(None);
    };
    let lock = pyproject::parse(&content, &path)?;
    declared.files.insert(path, content);
    let packages = lock.get("package").and_then(Value::as_array);
    for package in packages.into_iter().flatten() {
        let name = package.get("name").and_then(Value::as_str);
        declared.packages.extend(name.and_then(package_name));
        if let Some(source) = package.get("source") {
            add_source(snapshot, &mut declared, &folder, source)?;
        }
    }
    let app = snapshot.app_dir.strip_prefix(&folder);
    let app = app.ok().filter(|path| !path.as_os_str().is_empty());
    if let Some(why) = freshness::stale(&project, &lock, app.unwrap_or(Path::new("."))) {
        declared.notes.push(format!(
            "uv.lock is out of date: {why}; what the lock says is installed (`uv lock` brings it up to date)"
        ));
    }
    pyproject::add_settings(snapshot, &mut declared)?;
    Ok(Some(declared))
}

/// The app's folder, or else the one above it that is the root of a uv workspace.
fn folder_of_lock(snapshot: &Snapshot<'_>) -> Result<Option<PathBuf>, Fault> {
    if snapshot.has(FILE) {
        return Ok(Some(snapshot.app_dir.clone()));
    }
    for folder in snapshot.app_dir.ancestors().skip(1) {
        let path = folder.join(pyproject::FILE);
        let Some(content) = snapshot.read_at(&path)? else {
            continue;
        };
        if is_workspace(&pyproject::parse(&content, &path)?) {
            let lock = snapshot.id_of(&folder.join(FILE))?;
            return Ok(lock.map(|_| folder.to_owned()));
        }
    }
    Ok(None)
}

fn is_workspace(table: &Table) -> bool {
    let uv = table.get("tool").and_then(|tool| tool.get("uv"));
    uv.is_some_and(|uv| uv.get("workspace").is_some())
}

/// Folders are built from where they lie; what they need is in the lock. An archive is installed as it is.
fn add_source(
    snapshot: &Snapshot<'_>,
    declared: &mut Declared,
    folder: &Path,
    source: &Value,
) -> Result<(), Fault> {
    let at = |kind: &str| source.get(kind).and_then(Value::as_str);
    if let Some(path) = at("editable").or_else(|| at("directory")) {
        declared.local = true;
        declared.is_whole = true;
        declared.open |= beneath(folder, Path::new(path)).is_none();
    } else if let Some(path) = at("path") {
        match beneath(folder, Path::new(path)) {
            Some(path) => declared.add_local(snapshot, &path)?,
            None => declared.open = true,
        }
    }
    // uv looks for all members of a workspace.
    declared.is_whole |= at("virtual").is_some_and(|path| path != ".");
    Ok(())
}
