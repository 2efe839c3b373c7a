//! `uv.lock` beside `pyproject.toml`.

use crate::inspect::{
    declared::{Declared, package_name},
    pyproject,
    snapshot::Snapshot,
};
use cid_protocol::fault::Fault;
use toml::Value;

/// Reads both; the lock names every package and where it comes from.
pub(super) fn read(snapshot: &Snapshot<'_>) -> Result<Option<Declared>, Fault> {
    let mut declared = Declared::default();
    for file in ["pyproject.toml", "uv.lock"] {
        let Some(content) = snapshot.read(file)? else {
            return Ok(None);
        };
        declared.files.insert(snapshot.app_dir.join(file), content);
    }
    let path = snapshot.app_dir.join("uv.lock");
    let lock = pyproject::parse(&declared.files[&path], &path)?;
    for package in lock
        .get("package")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = package
            .get("name")
            .and_then(Value::as_str)
            .and_then(package_name);
        declared.packages.extend(name);
        declared.open |= package.get("source").is_some_and(is_local);
    }
    pyproject::add_settings(snapshot, &mut declared)?;
    Ok(Some(declared))
}

/// A package in a folder of the repository other than the project itself.
fn is_local(source: &Value) -> bool {
    ["editable", "directory", "virtual", "path"]
        .iter()
        .filter_map(|kind| source.get(kind)?.as_str())
        .any(|path| path != ".")
}
