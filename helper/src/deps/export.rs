//! Puts the files that an installer reads into a folder: only those that declare dependencies, or,
//! where these name local packages, the whole commit.

use crate::{
    git::files,
    inspect::{
        declared::Declared,
        kinds::{Kind, detect},
        requirements,
        snapshot::Snapshot,
    },
};
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::Dependencies,
};
use git2::Repository;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Exports into `target`, which is made.
pub(super) fn export(
    mirror: &Repository,
    snapshot: &Snapshot<'_>,
    kind: &Kind,
    target: &Path,
) -> Result<Declared, Fault> {
    let declared = detect(snapshot)?
        .into_iter()
        .find(|(detected, _)| detected.dependencies == kind.dependencies)
        .map(|(_, declared)| declared)
        .ok_or_else(|| Fault::new(format!("cannot find {} at the commit", kind.file)))?;
    if declared.open || declared.is_whole {
        export_all(mirror, snapshot, target)?;
    }
    fs::create_dir_all(target.join(&snapshot.app_dir))
        .map_err(|error| Fault::io("make", target, error))?;
    for (path, content) in &declared.files {
        let file = target.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(|error| Fault::io("make", parent, error))?;
        }
        let content = match kind.dependencies {
            Dependencies::Requirements if path.extension() != Some("toml".as_ref()) => {
                requirements::for_installers(content, path)?
            }
            _ => content.clone(),
        };
        fs::write(&file, content).cannot(format!("write {}", file.display()))?;
    }
    Ok(declared)
}

/// Exports the whole commit into `target`, which is made or empty; gives the app's folder.
pub(super) fn export_all(
    mirror: &Repository,
    snapshot: &Snapshot<'_>,
    target: &Path,
) -> Result<PathBuf, Fault> {
    fs::create_dir_all(target).map_err(|error| Fault::io("make", target, error))?;
    files::write(mirror, snapshot.root().clone(), target)?.link(target)?;
    Ok(target.join(&snapshot.app_dir))
}
