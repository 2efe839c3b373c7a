//! `package.json` and the locks of npm, Yarn, pnpm and Bun, beside it or at the root of a workspace above.

use super::{
    declared::Declared,
    kinds::Kind,
    locks::not_json,
    snapshot::{Snapshot, beneath},
    text,
};
use cid_protocol::{fault::Fault, request::Dependencies};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What each of them is made for.
pub(super) const PACKAGE: &str = "package.json";
/// Members of pnpm's workspaces are named here.
const PNPM_WORKSPACE: &str = "pnpm-workspace.yaml";
/// How far below the root a member of a workspace is looked for.
const MEMBERS: usize = 4;
/// Other files and folders that decide, beside a lock.
const SETTINGS: &[&str] = &[
    ".npmrc",
    ".nvmrc",
    ".node-version",
    ".yarnrc",
    ".yarnrc.yml",
    ".yarn",
    ".pnpmfile.cjs",
    "bunfig.toml",
    "patches",
    PNPM_WORKSPACE,
];
/// The project's own scripts that an installation runs. They may read anything.
const HOOKS: &[&str] = &["preinstall", "install", "postinstall", "prepare"];
/// Makes hooks of git's where there is a clone, and nothing otherwise.
const HARMLESS: &[&str] = &["husky", "simple-git-hooks", "lefthook"];

/// Reads what a lock is for; the lock itself only decides.
pub(super) fn read(snapshot: &Snapshot<'_>, kind: &Kind) -> Result<Option<Declared>, Fault> {
    let Some(own) = package(snapshot, &snapshot.app_dir)? else {
        return Ok(None);
    };
    let Some(folder) = folder_of_lock(snapshot, kind)? else {
        return Ok(None);
    };
    let is_bare = kind.dependencies == Dependencies::PackageJson
        && !names_packages(&own)
        && script(&own, "start").is_none();
    if is_bare || !is_of_version(snapshot, kind, &folder)? {
        return Ok(None);
    }
    let mut declared = Declared {
        run_in: Some(folder.clone()),
        ..Declared::default()
    };
    for path in [folder.join(kind.file), snapshot.app_dir.join(PACKAGE)] {
        declared.add_file(snapshot, &path)?;
    }
    for name in SETTINGS {
        // A short file, or a folder with releases and patches.
        declared.add_thing(snapshot, &folder.join(name))?;
    }
    let root = package(snapshot, &folder)?.unwrap_or(Value::Null);
    if is_workspace(snapshot, &folder, &root)? {
        declared.is_whole = true;
        for path in snapshot.look_below(MEMBERS) {
            if path.starts_with(&folder) && path.file_name() == Some(PACKAGE.as_ref()) {
                declared.add_thing(snapshot, &path)?;
            }
        }
    }
    for json in [&own, &root] {
        add_folders(snapshot, &mut declared, &folder, json)?;
        let scripts = HOOKS.iter().filter_map(|name| script(json, name));
        let reads_more = |line: &str| !HARMLESS.iter().any(|name| line.trim().starts_with(name));
        if scripts.into_iter().any(reads_more) {
            declared.add_all(snapshot);
        }
    }
    // Its client is generated from the app's own schema as it is installed.
    let locks = declared.files.values();
    if locks
        .map(|text| String::from_utf8_lossy(text))
        .any(|text| text.contains("@prisma/client"))
    {
        for folder in [&snapshot.app_dir, &folder] {
            declared.add_thing(snapshot, &folder.join("prisma"))?;
        }
        let schema = own
            .get("prisma")
            .and_then(|prisma| prisma.get("schema")?.as_str());
        let schema = schema.and_then(|path| beneath(&snapshot.app_dir, Path::new(path)));
        if let Some(path) = schema {
            declared.is_whole = true;
            declared.add_thing(snapshot, &path)?;
        }
    }
    if kind.dependencies == Dependencies::PackageJson {
        declared.notes.push(format!(
            "{} has no lock: what is newest at the time is installed; commit one, such as package-lock.json",
            declared_path(snapshot).display()
        ));
    }
    Ok(Some(declared))
}

fn names_packages(json: &Value) -> bool {
    let names = |list: &str| json.get(list).and_then(Value::as_object);
    ["dependencies", "devDependencies"]
        .into_iter()
        .filter_map(names)
        .any(|list| !list.is_empty())
}

/// Yarn 2 and its successors write another lock under the same name.
fn is_of_version(snapshot: &Snapshot<'_>, kind: &Kind, folder: &Path) -> Result<bool, Fault> {
    let is_modern = match kind.dependencies {
        Dependencies::YarnModern => true,
        Dependencies::Yarn => false,
        _ => return Ok(true),
    };
    let lock = snapshot
        .read_at(&folder.join(kind.file))?
        .unwrap_or_default();
    let says = String::from_utf8_lossy(&lock).contains("\n__metadata:");
    Ok(says == is_modern)
}

fn declared_path(snapshot: &Snapshot<'_>) -> PathBuf {
    snapshot.app_dir.join(PACKAGE)
}

/// Whether it builds something that an app of another language serves.
pub(super) fn builds(snapshot: &Snapshot<'_>) -> Result<bool, Fault> {
    let json = package(snapshot, &snapshot.app_dir)?;
    Ok(json.is_some_and(|json| script(&json, "build").is_some()))
}

/// A script of the app's own `package.json`.
pub(super) fn script_of(snapshot: &Snapshot<'_>, name: &str) -> Option<String> {
    let json = package(snapshot, &snapshot.app_dir).ok()??;
    script(&json, name).map(str::to_owned)
}

fn script<'a>(json: &'a Value, name: &str) -> Option<&'a str> {
    json.get("scripts")?.get(name)?.as_str()
}

fn package(snapshot: &Snapshot<'_>, folder: &Path) -> Result<Option<Value>, Fault> {
    let path = folder.join(PACKAGE);
    let Some(content) = snapshot.read_at(&path)? else {
        return Ok(None);
    };
    let text = text::utf8(&content, &path, "npm")?;
    let json = serde_json::from_str(&text).map_err(|error| not_json(&path, &error))?;
    Ok(Some(json))
}

/// The app's folder, or else one above it whose lock is for all of its members.
fn folder_of_lock(snapshot: &Snapshot<'_>, kind: &Kind) -> Result<Option<PathBuf>, Fault> {
    if snapshot.has(kind.file) {
        return Ok(Some(snapshot.app_dir.clone()));
    }
    if kind.dependencies == Dependencies::PackageJson {
        return Ok(None);
    }
    for folder in snapshot.app_dir.ancestors().skip(1) {
        if snapshot.id_of(&folder.join(kind.file))?.is_none() {
            continue;
        }
        let root = package(snapshot, folder)?.unwrap_or(Value::Null);
        if is_workspace(snapshot, folder, &root)? {
            return Ok(Some(folder.to_owned()));
        }
    }
    Ok(None)
}

fn is_workspace(snapshot: &Snapshot<'_>, folder: &Path, root: &Value) -> Result<bool, Fault> {
    let by_pnpm = snapshot.id_of(&folder.join(PNPM_WORKSPACE))?.is_some();
    Ok(by_pnpm || root.get("workspaces").is_some())
}

/// Packages that are folders of the repository.
fn add_folders(
    snapshot: &Snapshot<'_>,
    declared: &mut Declared,
    folder: &Path,
    json: &Value,
) -> Result<(), Fault> {
    let lists = ["dependencies", "devDependencies", "optionalDependencies"];
    let lists = lists.iter().filter_map(|list| json.get(list)?.as_object());
    let places = lists.flatten().filter_map(|(_, from)| {
        let from = from.as_str()?;
        let kinds = ["file:", "link:", "portal:"];
        kinds.iter().find_map(|kind| from.strip_prefix(kind))
    });
    for place in places {
        match beneath(folder, Path::new(place)) {
            Some(path) => declared.add_folder(snapshot, path)?,
            None => declared.open = true,
        }
    }
    Ok(())
}
