//! What git tracks in a tree, and how it is told to overlook what cid put in its place.

use crate::tree::beneath::Root;
use cid_protocol::fault::Fault;
use git2::{Index, IndexEntryExtendedFlag, Repository};
use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// What stands at a place that cid is to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing of the repository's.
    Free,
    /// Something of the repository's, which gives way now.
    Replaces,
    /// Something of the repository's gave way earlier.
    Replaced,
}

/// A clone's index.
pub(super) struct Tracked {
    index: Index,
    changed: bool,
}

impl Tracked {
    /// Reads it.
    pub(super) fn read(tree: &Root) -> Result<Self, Fault> {
        let index = Repository::open(tree.path()).and_then(|repository| repository.index());
        index
            .map(|index| Self {
                index,
                changed: false,
            })
            .map_err(|error| Fault::io("read the git index of", tree.path(), error.message()))
    }

    /// Whether git tracks a place, or something in it.
    pub(super) fn has(&self, target: &Path) -> bool {
        !self.positions(target).is_empty()
    }

    /// Refuses a place that git tracks, or in which it tracks something, unless it may be
    /// replaced; then git shall overlook the difference.
    pub(super) fn claim(&mut self, target: &Path, replace: bool) -> Result<Claim, Fault> {
        let positions = self.positions(target);
        if positions.is_empty() {
            return Ok(Claim::Free);
        }
        if !replace {
            return Err(Fault::new(format!(
                "cannot write {}: the repository tracks it",
                target.display()
            ))
            .hint("choose another place in the project's file, or set replace = true there"));
        }
        let mut claim = Claim::Replaced;
        for position in positions {
            let Some(mut entry) = self.index.get(position) else {
                continue;
            };
            let skip = IndexEntryExtendedFlag::SKIP_WORKTREE.bits();
            if entry.flags_extended & skip == 0 {
                entry.flags_extended |= skip;
                self.index
                    .add(&entry)
                    .map_err(|error| Fault::io("mark as replaced", target, error.message()))?;
                self.changed = true;
                claim = Claim::Replaces;
            }
        }
        Ok(claim)
    }

    /// Writes the marks down.
    pub(super) fn save(mut self) -> Result<(), Fault> {
        if self.changed {
            self.index.write().map_err(|error| {
                Fault::new(format!("cannot write the git index: {}", error.message()))
            })?;
        }
        Ok(())
    }

    fn positions(&self, target: &Path) -> Vec<usize> {
        let mut folder = PathBuf::from(target).into_os_string();
        let name = target.as_os_str().as_bytes().to_owned();
        folder.push("/");
        let within = folder.as_bytes().to_owned();
        self.index
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.path == name || entry.path.starts_with(&within))
            .map(|(position, _)| position)
            .collect()
    }
}
