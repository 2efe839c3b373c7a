//! Locks of Poetry, PDM and Pipenv.

use super::{
    declared::{Declared, package_name},
    kinds::Kind,
    pyproject,
    snapshot::Snapshot,
    text,
};
use cid_protocol::fault::Fault;
use serde_json::Value;
use std::path::Path;

const PIPFILE: &str = "Pipfile";

/// A lock beside `pyproject.toml`, in TOML with a list of packages. What of the repository itself is a package is
/// in `pyproject.toml`.
pub(super) fn of_pyproject(
    snapshot: &Snapshot<'_>,
    kind: &Kind,
) -> Result<Option<Declared>, Fault> {
    let path = snapshot.app_dir.join(kind.file);
    let Some(content) = snapshot.read_at(&path)? else {
        return Ok(None);
    };
    let lock = pyproject::parse(&content, &path)?;
    let mut declared = pyproject::declare(snapshot)?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    for package in packages.into_iter().flatten() {
        let name = package.get("name").and_then(toml::Value::as_str);
        declared.packages.extend(name.and_then(package_name));
    }
    declared.files.insert(path, content);
    for name in ["poetry.toml", "pdm.toml"] {
        declared.add_file(snapshot, &snapshot.app_dir.join(name))?;
    }
    Ok(Some(declared))
}

/// `Pipfile.lock`, in JSON; folders of the repository decide with all that is in them.
pub(super) fn pipenv(snapshot: &Snapshot<'_>, kind: &Kind) -> Result<Option<Declared>, Fault> {
    let path = snapshot.app_dir.join(kind.file);
    let Some(content) = snapshot.read_at(&path)? else {
        return Ok(None);
    };
    let lock: Value = serde_json::from_str(&text::utf8(&content, &path, "pipenv")?)
        .map_err(|error| not_json(&path, &error))?;
    let mut declared = Declared::default();
    for (name, package) in lock
        .get("default")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        declared.packages.extend(package_name(name));
        let Some(place) = package.get("path").and_then(Value::as_str) else {
            continue;
        };
        declared.local = true;
        match super::snapshot::beneath(&snapshot.app_dir, Path::new(place)) {
            Some(folder) => declared.add_folder(snapshot, folder)?,
            None => declared.open = true,
        }
    }
    declared.files.insert(path, content);
    declared.add_file(snapshot, &snapshot.app_dir.join(PIPFILE))?;
    pyproject::add_settings(snapshot, &mut declared)?;
    Ok(Some(declared))
}

/// A lock file that should be JSON and is not.
pub(super) fn not_json(path: &Path, error: &serde_json::Error) -> Fault {
    Fault::new(format!(
        "cannot understand {} of the repository: {error}",
        path.display()
    ))
    .hint("its own tools cannot read it either; mend it")
}
