//! `pyproject.toml` alone: dependencies as the standard has them.

use super::{
    declared::{Declared, package_name},
    requirements::{Place, place},
    snapshot::{Snapshot, beneath},
    text,
    wanted::version_files,
};
use cid_protocol::fault::Fault;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file looked for.
pub(super) const FILE: &str = "pyproject.toml";

/// Reads it; one that declares no project only configures tools.
pub(super) fn read(snapshot: &Snapshot<'_>) -> Result<Option<Declared>, Fault> {
    let Some(content) = snapshot.read(FILE)? else {
        return Ok(None);
    };
    let table = parse(&content, &snapshot.app_dir.join(FILE))?;
    let is_poetrys = is_package(&table) && poetry(&table).is_some();
    match table.contains_key("project") || is_poetrys {
        true => declare(snapshot).map(Some),
        false => Ok(None),
    }
}

/// What it declares, whichever tool it is for.
pub(super) fn declare(snapshot: &Snapshot<'_>) -> Result<Declared, Fault> {
    let content = snapshot.read(FILE)?.unwrap_or_default();
    let table = parse(&content, &snapshot.app_dir.join(FILE))?;
    let mut declared = Declared {
        is_package: is_package(&table),
        ..Declared::default()
    };
    if table.contains_key("project") {
        for requirement in requirements_of(&table) {
            declared.packages.extend(package_name(requirement));
            declared.open |= place(requirement) == Place::Outside;
        }
        if is_dynamic(&table) {
            // What it needs is known only when it is built.
            declared.add_folder(snapshot, snapshot.app_dir.clone())?;
        }
    } else {
        let names = poetry(&table).into_iter().flat_map(Table::keys);
        declared
            .packages
            .extend(names.filter_map(|name| package_name(name)));
        declared.is_whole = declared.is_package;
    }
    declared.local = declared.is_package;
    for source in local_sources(&table) {
        match source.map(|path| beneath(&snapshot.app_dir, Path::new(&path))) {
            Some(Some(path)) => declared.add_local(snapshot, &path)?,
            Some(None) => declared.open = true,
            None => {
                declared.local = true;
                declared.add_all(snapshot);
            }
        }
    }
    declared.files.insert(snapshot.app_dir.join(FILE), content);
    add_settings(snapshot, &mut declared)?;
    Ok(declared)
}

/// Whether what a package needs is all in its `pyproject.toml`.
pub(super) fn says_all(table: &Table) -> bool {
    let declares = table.contains_key("project") || poetry(table).is_some();
    declares && !is_dynamic(table) && local_sources(table).is_empty()
}

/// Whether its tools would install it, as uv tells: what says how it is built is one.
fn is_package(table: &Table) -> bool {
    let tool = |name: &str, key: &str| table.get("tool")?.get(name)?.get(key)?.as_bool();
    let by_build =
        table.contains_key("build-system") && tool("poetry", "package-mode") != Some(false);
    tool("uv", "package").unwrap_or(by_build)
}

fn is_dynamic(table: &Table) -> bool {
    let fields = table
        .get("project")
        .and_then(|project| project.get("dynamic")?.as_array());
    let fields = fields.into_iter().flatten().filter_map(Value::as_str);
    fields
        .into_iter()
        .any(|field| ["dependencies", "optional-dependencies"].contains(&field))
}

fn requirements_of(table: &Table) -> Vec<&str> {
    let list = table
        .get("project")
        .and_then(|project| project.get("dependencies")?.as_array());
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn poetry(table: &Table) -> Option<&Table> {
    table
        .get("tool")?
        .get("poetry")?
        .get("dependencies")?
        .as_table()
}

/// Where packages of the repository are: by their path, `None`: in the same uv workspace.
fn local_sources(table: &Table) -> Vec<Option<String>> {
    let sources = table
        .get("tool")
        .and_then(|tool| tool.get("uv")?.get("sources")?.as_table());
    let all = sources
        .into_iter()
        .chain(poetry(table))
        .flat_map(Table::values);
    // One for each platform, or one for all.
    let each = all.flat_map(|source| match source {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    });
    let mut found: Vec<Option<String>> = each
        .filter_map(|source| {
            let path = source.get("path").and_then(Value::as_str);
            let shared = source.get("workspace").and_then(Value::as_bool) == Some(true);
            path.map(|path| Some(path.to_owned()))
                .or(shared.then_some(None))
        })
        .collect();
    found.extend(
        requirements_of(table)
            .into_iter()
            .filter_map(|text| match place(text) {
                Place::Inside(path) => Some(Some(path)),
                Place::Elsewhere | Place::Outside => None,
            }),
    );
    found
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
    text::utf8(content, path, "TOML")?
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
