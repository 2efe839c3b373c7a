//! What is told of a workspace before it goes.

/// Commits, and which remotes hold them.
mod commits;
/// Files of a clone.
mod files;
/// What cid and the project's commands made.
mod made;
/// Submodules, worktrees and other repositories.
mod others;
/// What was made in a workspace whose creation is taken back.
mod unfinished;

use crate::origin::{Origin, git};
use std::path::Path;

/// A workspace as it is right after its clone was made.
pub fn world() -> Origin {
    let mut origin = Origin::new();
    let base = origin.fetch("main").unwrap().base;
    origin.clone_at(&base, &base).unwrap();
    std::fs::create_dir(origin.workspace().join("home")).unwrap();
    origin
}

/// git with a name, which a commit needs.
pub fn own(dir: &Path, arguments: &[&str]) -> String {
    let who = [
        "-c",
        "user.name=Anna",
        "-c",
        "user.email=anna@example.com",
        "-c",
        "protocol.file.allow=always",
    ];
    git(dir, &[&who[..], arguments].concat())
}

/// Nothing at all would be lost.
#[track_caller]
pub fn assert_nothing(origin: &mut Origin) {
    let report = origin.look();
    assert!(!report.loses_work(), "{report:#?}");
}
