//! `pyproject.toml` alone: dependencies as the standard has them.

use super::{
    declared::{Declared, package_name},
    snapshot::Snapshot,
    text,
    wanted::version_files,
};
use cid_protocol::fault::Fault;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file looked for.
pub(super) const FILE: &str = "pyproject.toml";

/// Reads it; one without a `[project]` only configures tools.
pub(super) fn read(snapshot: &Snapshot<'_>) -> Result<Option<Declared>, Fault> {
    let Some(content) = snapshot.read(FILE)? else {
        return Ok(None);
    };
    let table = parse(&content, &snapshot.app_dir.join(FILE))?;
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
    add_settings(snapshot, &mut declared)?;
    Ok(Some(declared))
}

/// Adds what else decides what gets installed: which Python is used, and settings of uv's.
pub(super) fn add_settings(snapshot: &Snapshot<'_>, declared: &mut Declared) -> Result<(), Fault> {
    let mut add = |path: PathBuf, decides: &dyn Fn(&[u8]) -> Result<bool, Fault>| {
        if let Some(content) = snapshot.read_at(&path)?
            && decides(&content)?
        {
            declared.files.insert(path, content);
        }
        Ok::<_, Fault>(())
    };
    for path in version_files(snapshot) {
        add(path, &|_| Ok(true))?;
    }
    for folder in snapshot.app_dir.ancestors() {
        add(folder.join("uv.toml"), &|_| Ok(true))?;
        let path = folder.join(FILE);
        add(path.clone(), &|content| {
            let table = parse(content, &path)?;
            let of = |name: &str, key: &str| table.get(name).and_then(|table| table.get(key));
            Ok(of("tool", "uv").is_some() || of("project", "requires-python").is_some())
        })?;
    }
    Ok(())
}

/// A TOML file of the repository.
pub(super) fn parse(content: &[u8], path: &Path) -> Result<Table, Fault> {
    text::decode(content, path)?
        .parse()
        .map_err(|error: toml::de::Error| {
            Fault::new(format!(
                "cannot understand {} of the repository: {}",
                path.display(),
                error.message()
            ))
            .hint("its own tools cannot read it either; mend it")
        })
}
