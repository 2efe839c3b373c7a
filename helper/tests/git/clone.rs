//! The clone a developer gets, and what is told of it before it goes.

use crate::origin::{BRANCH, Origin, commit, git};
use std::{fs, os::unix::fs::PermissionsExt};

fn world() -> (Origin, String) {
    let mut origin = Origin::new();
    let base = origin.fetch("main").unwrap().base;
    origin.clone_at(&base, &base).unwrap();
    (origin, base)
}

#[test]
fn is_one_as_git_makes_them() {
    let (mut origin, base) = world();
    let clone = origin.target();
    assert_eq!(
        git(&clone, &["status", "--short", "--branch"]),
        format!("## {BRANCH}...origin/{BRANCH}")
    );
    assert_eq!(
        git(&clone, &["rev-parse", "HEAD", "origin/main", "origin/HEAD"]),
        [base.as_str(); 3].join("\n")
    );
    assert_eq!(
        git(&clone, &["remote", "get-url", "origin"]),
        origin.remote.url
    );
    git(&clone, &["fsck", "--strict"]);
    let mode = |name: &str| fs::metadata(clone.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("manage.py"), mode("pressa/wsgi.py"), mode("pressa")),
        (0o750, 0o640, 0o750)
    );
    // Objects are the mirror's; only what is new is the clone's own.
    let objects = fs::read_dir(clone.join(".git/objects")).unwrap().count();
    assert_eq!(objects, 2, "info and pack");
    fs::write(clone.join("new.py"), "").unwrap();
    git(&clone, &["add", "new.py"]);
    let id = commit(&clone, "mine");
    git(&clone, &["push", "--quiet"]);
    assert_eq!(origin.branch(BRANCH), id);
    git(&clone, &["pull", "--quiet"]);
    origin.clone_at(&base, &base).unwrap();
    assert_eq!(
        git(&clone, &["rev-parse", "HEAD"]),
        id,
        "a complete one is left alone"
    );
}

#[test]
fn is_made_anew_when_half_made() {
    let (mut origin, base) = world();
    let clone = origin.target();
    fs::remove_file(clone.join(".git/cid-complete")).unwrap();
    fs::write(clone.join(".git/index.lock"), "").unwrap();
    fs::write(clone.join(".git/HEAD"), "").unwrap();
    fs::remove_file(clone.join("manage.py")).unwrap();
    origin.clone_at(&base, &base).unwrap();
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
    let (message, _) = origin.clone_at(&base, &"1".repeat(40)).unwrap_err();
    assert!(message.starts_with("cannot find commit 1111"), "{message}");
    assert!(
        clone.join("manage.py").exists(),
        "refused before anything was removed"
    );
}

#[test]
fn is_made_where_an_empty_folder_waits_but_not_through_a_link() {
    let mut origin = Origin::new();
    let base = origin.fetch("main").unwrap().base;
    fs::create_dir_all(origin.target()).unwrap();
    origin.clone_at(&base, &base).unwrap();
    fs::remove_dir_all(origin.target()).unwrap();
    let elsewhere = origin.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("kept"), "").unwrap();
    std::os::unix::fs::symlink(&elsewhere, origin.target()).unwrap();
    assert!(origin.clone_at(&base, &base).is_err());
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
}
