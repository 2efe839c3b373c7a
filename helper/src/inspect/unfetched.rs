//! What of a commit a clone does not bring: submodules, and files that Git LFS keeps elsewhere.

use super::{snapshot::Snapshot, text};
use std::path::PathBuf;

const MODULES: &str = ".gitmodules";
const ATTRIBUTES: &str = ".gitattributes";
const LFS: &str = "filter=lfs";

/// What Git LFS keeps elsewhere.
pub(super) fn notes(snapshot: &Snapshot<'_>) -> Vec<String> {
    lfs(snapshot).into_iter().collect()
}

/// Folders that are commits of other repositories, by path in this one.
pub(super) fn submodules(snapshot: &Snapshot<'_>) -> Vec<String> {
    let file = snapshot.read_at(MODULES.as_ref());
    let has_file = file.is_ok_and(|file| file.is_some());
    let found = has_file.then(|| snapshot.submodules());
    let found = found.into_iter().flatten();
    found.map(|path| path.display().to_string()).collect()
}

/// Attributes count from the folder that they are in: mostly the root, or one around the app's files.
fn lfs(snapshot: &Snapshot<'_>) -> Option<String> {
    let app = &snapshot.app_dir;
    let around = app.ancestors().map(PathBuf::from);
    let below = snapshot.folders().map(|name| app.join(name));
    let keeps = |path: &PathBuf| {
        let content = snapshot.read_at(path).ok().flatten().unwrap_or_default();
        let text = text::decode(&content, path).unwrap_or_default();
        text.lines().any(|line| {
            let mut words = line.split_whitespace();
            !line.trim_start().starts_with('#') && words.any(|word| word == LFS)
        })
    };
    let path = around
        .chain(below)
        .map(|folder| folder.join(ATTRIBUTES))
        .find(keeps)?;
    Some(format!(
        "cid does not fetch what Git LFS keeps elsewhere: files that {} gives to it stay short texts that point there",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use crate::inspect::tests::look;
    use cid_protocol::request::Given;

    const FILE: u32 = 0o100_644;
    const SUBMODULE: u32 = 0o160_000;
    const WEB: (&str, u32, &[u8]) = ("Procfile", FILE, b"web: x");

    fn notes(files: &[(&str, u32, &[u8])]) -> Vec<String> {
        let files = [&[WEB], files].concat();
        look(&files, Given::default()).unwrap().notes
    }

    #[test]
    fn submodules_are_told_by_their_place() {
        let submodules = |files: &[(&str, u32, &[u8])]| {
            let files = [&[WEB], files].concat();
            look(&files, Given::default()).unwrap().submodules
        };
        let modules: (&str, u32, &[u8]) = (".gitmodules", FILE, b"[submodule \"x\"]");
        assert_eq!(
            submodules(&[modules, ("libs/theme", SUBMODULE, b"x")]),
            ["libs/theme"]
        );
        // Also in folders that are passed over otherwise.
        for path in ["vendor/sub", "node_modules/x", ".hidden/sub", "a/b/c/d"] {
            assert_eq!(submodules(&[modules, (path, SUBMODULE, b"x")]), [path]);
        }
        // One that was removed leaves its file.
        assert_eq!(submodules(&[modules]), [""; 0]);
    }

    #[test]
    fn what_lfs_keeps_is_told_by_the_file_that_says_so() {
        for path in [".gitattributes", "media/.gitattributes"] {
            let said = notes(&[(path, FILE, b"*.jpg filter=lfs diff=lfs -text")]);
            assert!(said[0].contains(path), "{said:?}");
        }
        for text in [&b"# *.jpg filter=lfs"[..], b"*.sh eol=lf", b"\xff\xfe"] {
            assert_eq!(notes(&[(".gitattributes", FILE, text)]), [""; 0]);
        }
    }
}
