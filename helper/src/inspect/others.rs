//! What Ruby's, PHP's, Go's and Rust's own tools install from.

use super::{
    declared::Declared,
    kinds::Kind,
    locks::not_json,
    snapshot::{Snapshot, beneath},
    text,
};
use cid_protocol::fault::Fault;
use serde_json::Value;
use std::path::Path;

/// The deciding file and these others beside it; `None` without the first.
fn files(snapshot: &Snapshot<'_>, kind: &Kind, others: &[&str]) -> Result<Option<Declared>, Fault> {
    if !snapshot.has(kind.file) {
        return Ok(None);
    }
    let mut declared = Declared::default();
    for name in [kind.file, kind.needs].iter().chain(others) {
        declared.add_thing(snapshot, &snapshot.app_dir.join(name))?;
    }
    Ok(Some(declared))
}

/// A `Gemfile` is a program, and one that names folders reads them.
pub(super) fn bundler(snapshot: &Snapshot<'_>, kind: &Kind) -> Result<Option<Declared>, Fault> {
    let mut declared = files(
        snapshot,
        kind,
        &[".bundle", ".ruby-version", "vendor/cache"],
    )?;
    if let Some(declared) = &mut declared {
        let gemfile = snapshot.read(kind.needs)?.unwrap_or_default();
        let gemfile = text::decode(&gemfile, Path::new(kind.needs))?;
        let reads_more = ["gemspec", "path", "eval_gemfile", "File."];
        if reads_more.iter().any(|word| gemfile.contains(word)) {
            declared.add_all(snapshot);
        }
    }
    Ok(declared)
}

/// The autoloader knows the tree's classes, those of some folders one by one.
pub(super) fn composer(snapshot: &Snapshot<'_>, kind: &Kind) -> Result<Option<Declared>, Fault> {
    let Some(mut declared) = files(snapshot, kind, &["symfony.lock", "auth.json"])? else {
        return Ok(None);
    };
    declared.is_whole = true;
    let path = snapshot.app_dir.join(kind.needs);
    let content = snapshot.read_at(&path)?.unwrap_or_default();
    let json: Value = serde_json::from_str(&text::utf8(&content, &path, "composer")?)
        .map_err(|error| not_json(&path, &error))?;
    let classes = json
        .get("autoload")
        .and_then(|autoload| autoload.get("classmap")?.as_array());
    // Then it knows those of all folders one by one.
    let is_on = |key: &str| {
        json.get("config").and_then(|config| config.get(key)) == Some(&Value::Bool(true))
    };
    if is_on("optimize-autoloader") || is_on("classmap-authoritative") {
        declared.add_all(snapshot);
    }
    let packages = json.get("repositories").and_then(Value::as_array);
    let packages = packages
        .into_iter()
        .flatten()
        .filter(|one| one.get("type").and_then(Value::as_str) == Some("path"));
    let packages = packages.filter_map(|one| one.get("url")?.as_str());
    let classes = classes.into_iter().flatten().filter_map(Value::as_str);
    for place in classes.chain(packages) {
        // A pattern of several folders.
        let place = place.split('*').next().unwrap_or_default();
        match beneath(&snapshot.app_dir, Path::new(place)) {
            Some(folder) => declared.add_folder(snapshot, folder)?,
            None => declared.open = true,
        }
    }
    Ok(Some(declared))
}

/// Modules of the repository itself are in its tree.
pub(super) fn go(snapshot: &Snapshot<'_>, kind: &Kind) -> Result<Option<Declared>, Fault> {
    let declared = files(snapshot, kind, &["go.sum", "go.work", "go.work.sum"])?;
    Ok(declared.map(|declared| Declared {
        is_whole: true,
        ..declared
    }))
}

/// cargo wants each package's targets to be there.
pub(super) fn cargo(snapshot: &Snapshot<'_>, kind: &Kind) -> Result<Option<Declared>, Fault> {
    let others = [
        "Cargo.lock",
        ".cargo",
        "rust-toolchain",
        "rust-toolchain.toml",
    ];
    let declared = files(snapshot, kind, &others)?;
    Ok(declared.map(|declared| Declared {
        is_whole: true,
        ..declared
    }))
}
