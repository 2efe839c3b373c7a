//! What is wrong with a repository itself, there or in cid's own copy: damage and rights.

use super::known::Known;
use nix::unistd::{User, geteuid};
use std::path::Path;

/// What git says through the connection when it finds that its repository is damaged.
pub(super) const CORRUPTION: &str =
    "aborting due to possible repository corruption on the remote side";

pub(super) const DAMAGED_THERE: Known = Known {
    marks: &[CORRUPTION],
    lost: None,
    means: |git| {
        (
            "the repository there is damaged".into(),
            match git.url.local() {
                Some(path) => format!(
                    "git -C {} fsck --full names what is missing; restore it from a clone that is whole",
                    path.display()
                ),
                None => "`git fsck --full` in it names what is missing; restore it from a clone that is whole"
                    .into(),
            },
        )
    },
};

/// git's words for what it cannot read on this side: the mirror. With a local repository both sides speak.
pub(super) const DAMAGED_HERE: Known = Known {
    marks: &[
        "fatal: unable to read ",
        "fatal: bad object",
        "fatal: bad tree object",
        "error: object file ",
        "fatal: loose object ",
        "fatal: packed object ",
        "error: packfile ",
        "inflate: data stream error",
        "does not point to a valid object",
    ],
    lost: None,
    means: |git| {
        let mirror = git.mirror.display();
        let there = match git.url.local() {
            Some(path) => format!("in {}", path.display()),
            None => "in the repository there".to_owned(),
        };
        // Either may be the only whole one, and workspaces borrow from the copy.
        (
            format!("objects are missing or damaged, there or in cid's own copy {mirror}"),
            format!(
                "`runuser -u {} -- git -C {mirror} fsck --full` tells whether cid's copy is whole, and `git fsck --full` {there} \
                 whether the other is; mend the one that is not from the one that is. A damaged copy is moved away, never \
                 removed: cid makes it anew",
                user()
            ),
        )
    },
};

/// A branch that git there cannot read is listed by it as this.
pub(super) const UNREADABLE_BRANCH: Known = Known {
    marks: &["not our ref 0000000000"],
    lost: None,
    means: |git| {
        (
            "git there cannot read all of its branches".into(),
            match git.url.local() {
                Some(path) => format!(
                    "let {} read {} and all below it; if it may: git -C {1} fsck --full",
                    user(),
                    path.display()
                ),
                None => "look there whether the user that git runs as may read all below `refs`, and at `git fsck --full`"
                    .into(),
            },
        )
    },
};

/// Its branches lead to what it has not.
pub(super) const INCOMPLETE: Known = Known {
    marks: &["not our ref", "did not send all necessary objects"],
    lost: None,
    means: |git| {
        (
            "it lacks what its branches point to".into(),
            match git.url.local() {
                Some(path) => format!(
                    "retry, it may have changed meanwhile; if it stays so: git -C {} fsck --full",
                    path.display()
                ),
                None => "retry, it may have changed meanwhile; if it stays so, `git fsck --full` in the repository there tells more"
                    .into(),
            },
        )
    },
};

/// What git says where it is not let in to objects. ssh has other words for its own files.
pub(super) const UNREADABLE: Known = Known {
    marks: &[
        "error: unable to open loose object",
        "error: unable to open object pack directory",
        "unable to access './objects",
    ],
    lost: None,
    means: |git| match git.url.local() {
        Some(path) => (
            "git may not read all of it".into(),
            format!(
                "let {} read {} and all below it, by owner or group",
                user(),
                path.display()
            ),
        ),
        None => (
            format!("git may not use cid's own copy, {}", git.mirror.display()),
            format!("chown -R {} {}", user(), git.mirror.display()),
        ),
    },
};

/// Seen only when something is stored.
pub(super) const UNWRITABLE: Known = Known {
    marks: &[
        "unable to create temporary object directory",
        "insufficient permission",
    ],
    lost: None,
    means: |git| {
        (
            "git there may not write into the repository".into(),
            match git.url.local() {
                Some(path) => may_write(path),
                None => "on the server, give the user that git runs as there the right to write into the repository's folder"
                    .into(),
            },
        )
    },
};

/// What lets this user push into a repository on this machine.
pub(in crate::git) fn may_write(path: &Path) -> String {
    format!(
        "let {} write into {} and all folders below it, by owner or group",
        user(),
        path.display()
    )
}

fn user() -> String {
    let user = User::from_uid(geteuid()).ok().flatten();
    user.map_or_else(|| geteuid().to_string(), |user| user.name)
}
