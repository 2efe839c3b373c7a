//! `pyproject.toml` alone: dependencies as the standard has them.

use super::{
    declared::{Declared, package_name},
    snapshot::Snapshot,
};
use crate::system::fault::Fault;
use std::path::Path;
use toml::{Table, Value};

/// The file looked for.
const FILE: &str = "pyproject.toml";
/// Says which Python to use; uv looks for it in all folders above, too.
const PYTHON_VERSION: &str = ".python-version";

/// Reads it; one without a `[project]` only configures tools.
pub(super) fn read(snapshot: &Snapshot<'_>) -> Result<Option<Declared>, Fault> {
    let Some(content) = snapshot.read(FILE)? else {
        return Ok(None);
    };
    let table = parse(&content, FILE)?;
    let Some(project) = table.get("project").and_then(Value::as_table) else {
        return Ok(None);
    };
    let mut declared = Declared::default();
    let requirements = project
        .get("dependencies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for requirement in requirements.filter_map(Value::as_str) {
        declared.packages.extend(package_name(requirement));
        declared.open |= requirement.contains("file:");
    }
    let dynamic = project
        .get("dynamic")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    declared.open |= dynamic
        .filter_map(Value::as_str)
        .any(|field| field == "dependencies");
    let sources = table
        .get("tool")
        .and_then(|tool| tool.get("uv")?.get("sources")?.as_table());
    let sources = sources.into_iter().flat_map(Table::values);
    declared.open |= sources
        .into_iter()
        .any(|source| source.get("path").or(source.get("workspace")).is_some());
    declared.files.insert(snapshot.app_dir.join(FILE), content);
    add_python_version(snapshot, &mut declared)?;
    Ok(Some(declared))
}

/// Adds what chooses the interpreter.
pub(super) fn add_python_version(
    snapshot: &Snapshot<'_>,
    declared: &mut Declared,
) -> Result<(), Fault> {
    for folder in [snapshot.app_dir.as_path(), Path::new("")] {
        let path = folder.join(PYTHON_VERSION);
        if let Some(content) = snapshot.read_at(&path)? {
            declared.files.insert(path, content);
        }
    }
    Ok(())
}

/// A TOML file of the repository.
pub(super) fn parse(content: &[u8], name: &str) -> Result<Table, Fault> {
    String::from_utf8_lossy(content)
        .parse()
        .map_err(|error: toml::de::Error| {
            Fault::new(format!(
                "cannot understand {name} of the repository: {}",
                error.message()
            ))
        })
}
