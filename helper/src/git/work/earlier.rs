//! What cid wrote into a tree at an earlier deployment, and whether people have changed it since.

use super::made::{Made, Verdict};
use cid_protocol::request::TREE;
use std::path::{Path, PathBuf};

/// What was written down of a tree.
pub(crate) struct Earlier {
    tree: PathBuf,
    made: Made,
}

impl Earlier {
    /// Reads it; nothing where nothing was written down.
    pub(crate) fn read(tree: &Path) -> Self {
        Self {
            made: Made::read(tree.parent().unwrap_or(tree)),
            tree: tree.to_owned(),
        }
    }

    /// Whether a person has changed this file of cid's; `target` is relative to the tree.
    pub(crate) fn is_edited(&self, target: &Path) -> bool {
        self.is_written(target) && self.made.judge(&self.tree.join(target)) == Verdict::Changed
    }

    /// Whether it is as cid wrote it.
    pub(crate) fn is_untouched(&self, target: &Path) -> bool {
        self.is_written(target) && self.made.judge(&self.tree.join(target)) == Verdict::Made
    }

    /// What cid wrote that is not among these: the project file has named it, and does not any more.
    pub(crate) fn unless(&self, targets: &[PathBuf]) -> Vec<PathBuf> {
        let written = self.made.written().filter_map(|key| {
            let target = Path::new(key).strip_prefix(TREE).ok()?;
            Some(target.to_owned())
        });
        written.filter(|target| !targets.contains(target)).collect()
    }

    fn is_written(&self, target: &Path) -> bool {
        let key = Path::new(TREE).join(target);
        self.made.written().any(|written| Path::new(written) == key)
    }
}
