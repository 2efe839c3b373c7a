//! `.git/info/exclude`: so that `git add -A` does not take along what cid writes.

use crate::tree::beneath::{Root, TEMPORARY};
use cid_protocol::fault::Fault;
use rustix::fs::FileType;
use std::path::{Path, PathBuf};

const FILE: &str = ".git/info/exclude";
const HEADING: &str = "# Written by cid, not part of the project:";
const MAX_FILE: u64 = 1024 * 1024;

/// Adds the paths that are not in it yet.
pub(crate) fn exclude(tree: &Root, paths: &[PathBuf]) -> Result<(), Fault> {
    let file = Path::new(FILE);
    let old = match tree.kind(file)? {
        Some(FileType::RegularFile) => tree.read(file, MAX_FILE)?,
        _ => String::new(),
    };
    let wanted =
        std::iter::once(TEMPORARY.to_owned()).chain(paths.iter().map(|path| pattern(path)));
    let new = with(&old, wanted);
    if new == old {
        Ok(())
    } else {
        tree.write(file, new.as_bytes())
    }
}

fn with(old: &str, wanted: impl Iterator<Item = String>) -> String {
    let mut text = old.to_owned();
    for line in std::iter::once(HEADING.to_owned()).chain(wanted) {
        if text.lines().any(|known| known == line) {
            continue;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The path at this place alone, whatever characters it holds.
fn pattern(path: &Path) -> String {
    let mut pattern = String::from("/");
    for character in path.to_string_lossy().chars() {
        if r"*?[]\! #".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use crate::tree::exclude::*;

    #[test]
    fn adds_each_line_once() {
        let lines = || ["/.env".to_owned(), "/media".to_owned()].into_iter();
        let once = with("# theirs\n*.swp", lines());
        assert_eq!(once, format!("# theirs\n*.swp\n{HEADING}\n/.env\n/media\n"));
        assert_eq!(with(&once, lines()), once);
    }

    #[test]
    fn quotes_what_git_would_read_as_a_pattern() {
        assert_eq!(pattern(Path::new("a/[b] *.py")), r"/a/\[b\]\ \*.py");
    }
}
