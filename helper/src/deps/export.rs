//! Puts the files that installers read into a folder: only those that declare dependencies, or, where one of them
//! needs more, the whole commit.

use crate::{
    git::files,
    inspect::{
        declared::Declared,
        kinds::{Kind, detect, kind},
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

/// Exports into `target`, which is made, what all of these kinds declare.
pub(super) fn export(
    mirror: &Repository,
    snapshot: &Snapshot<'_>,
    wanted: &[Dependencies],
    target: &Path,
) -> Result<Vec<(&'static Kind, Declared)>, Fault> {
    let mut detected = detect(snapshot)?;
    detected.retain(|(kind, _)| wanted.contains(&kind.dependencies));
    let is_there =
        |one: &&Dependencies| detected.iter().any(|(kind, _)| kind.dependencies == **one);
    if let Some(missing) = wanted.iter().find(|one| !is_there(one)) {
        return Err(Fault::new(match kind(*missing) {
            Some(kind) => format!("cannot find {} at the commit", kind.file),
            None => format!("cannot install {missing:?}: it has no row"),
        }));
    }
    // Once, into an empty folder.
    if detected
        .iter()
        .any(|(_, declared)| declared.open || declared.is_whole)
    {
        export_all(mirror, snapshot, target)?;
    }
    for (kind, declared) in &detected {
        export_files(snapshot, kind, declared, target)?;
    }
    Ok(detected)
}

fn export_files(
    snapshot: &Snapshot<'_>,
    kind: &Kind,
    declared: &Declared,
    target: &Path,
) -> Result<(), Fault> {
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
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::tests::repository;

    #[test]
    fn two_kinds_of_which_one_wants_the_whole_commit_are_exported_together() {
        const FILE: u32 = 0o100_644;
        let files: &[(&str, u32, &[u8])] = &[
            ("requirements.txt", FILE, b"six"),
            (
                "package.json",
                FILE,
                br#"{"scripts": {"build": "x", "postinstall": "node tools/x.js"}, "dependencies": {"x": "1"}}"#,
            ),
            ("package-lock.json", FILE, b"{}"),
            ("tools/x.js", FILE, b""),
        ];
        let (dir, commit) = repository(files);
        let mirror = Repository::open_bare(dir.path()).unwrap();
        let snapshot = Snapshot::open(&mirror, &commit, Path::new(".")).unwrap();
        let target = dir.path().join("sources");
        let wanted = [Dependencies::Requirements, Dependencies::Npm];
        let exported = export(&mirror, &snapshot, &wanted, &target).unwrap();
        let kinds: Vec<_> = exported.iter().map(|(kind, _)| kind.dependencies).collect();
        assert_eq!(kinds, wanted);
        for file in ["requirements.txt", "tools/x.js", "package-lock.json"] {
            assert!(target.join(file).exists(), "{file}");
        }
        let gone = export(&mirror, &snapshot, &[Dependencies::Go], &target);
        let gone = gone.err().unwrap();
        assert!(gone.message.contains("go.mod"), "{gone}");
    }
}
