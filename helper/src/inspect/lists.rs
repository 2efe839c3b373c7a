//! Lists of Python's requirements under names that are not read by themselves.

use super::snapshot::Snapshot;
use std::path::{Path, PathBuf};

/// So many are named.
const SHOWN: usize = 8;
/// Which of several lists of requirements is likely to be what the app's default settings want.
const LISTS: &[&str] = &[
    "local.txt",
    "dev.txt",
    "development.txt",
    "base.txt",
    "production.txt",
];

/// Lists of Python's requirements under another name than the one that is read, with the line that uses the likeliest.
pub(super) fn requirements(snapshot: &Snapshot<'_>) -> Option<String> {
    let app = &snapshot.app_dir;
    // From the app's folder on the way to the root, where it is an app of Python's.
    let levels = match snapshot.has_any(".py") {
        true => usize::MAX,
        false => 1,
    };
    let mut folders = app.ancestors().take(levels);
    folders.find_map(|folder| {
        let up = "../".repeat(app.components().count() - folder.components().count());
        requirements_in(snapshot, folder, &up)
    })
}

/// The lists in a folder of the repository, to which `up` leads from the app's.
fn requirements_in(snapshot: &Snapshot<'_>, folder: &Path, up: &str) -> Option<String> {
    let is_list = |path: &PathBuf| {
        let Ok(path) = path.strip_prefix(folder) else {
            return false;
        };
        let lower = path.to_string_lossy().to_ascii_lowercase();
        let is_own = lower.starts_with("requirements") && !lower.contains('/');
        let is_in = lower.starts_with("requirements/") && path.components().count() == 2;
        (is_own || is_in) && lower.ends_with(".txt")
    };
    let mut lists = snapshot.look_below(3);
    lists.retain(is_list);
    // Above, one of the plain name is read by itself.
    let is_plain = |path: &PathBuf| path.file_name() == Some("requirements.txt".as_ref());
    if !up.is_empty() && lists.iter().any(is_plain) {
        return None;
    }
    let place = |path: &PathBuf| {
        let known = LISTS.iter().position(|name| path.ends_with(name));
        known.unwrap_or(LISTS.len())
    };
    lists.sort_by_key(|path| (place(path), path.clone()));
    let likely = lists.first()?.strip_prefix(folder).ok()?;
    let shown: Vec<String> = lists
        .iter()
        .take(SHOWN)
        .map(|path| path.display().to_string())
        .collect();
    Some(format!(
        "{}: only requirements.txt is read by itself; write into the project file:\n[app]\ninstall = [[\"pip\", \"install\", \"-r\", {:?}]]",
        shown.join(", "),
        format!("{up}{}", likely.display())
    ))
}
