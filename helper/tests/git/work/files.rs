use super::{assert_nothing, own, world};
use crate::origin::{Origin, git};
use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, SystemTime},
};

#[test]
fn a_fresh_clone_holds_nothing_whatever_its_attributes_say() {
    let mut origin = Origin::new();
    let work = origin.dir.path().join("work");
    let content = "large\n";
    let pointer = "version https://git-lfs.github.com/spec/v1\n\
        oid sha256:9bfce334a37bd1bc1d36b0370195b31fe9a9389dd43d0873891a3544ef1140a1\nsize 6\n";
    for (name, text) in [
        ("crlf.txt", "one\r\ntwo\r\n"),
        ("mixed.txt", "one\ntwo\r\n"),
        ("unix.bat", "one\ntwo\n"),
        ("ident.c", "$Id$\n"),
        ("large.bin", pointer),
        ("README", "upper"),
        ("readme", "lower"),
        ("run.sh", "#!/bin/sh\n"),
    ] {
        fs::write(work.join(name), text).unwrap();
    }
    fs::set_permissions(work.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("run.sh", work.join("link")).unwrap();
    symlink("nowhere", work.join("broken")).unwrap();
    own(&work, &["add", "--all"]);
    own(&work, &["commit", "--quiet", "-m", "files"]);
    let attributes =
        "*.txt text eol=lf\n*.bat text eol=crlf\n*.c ident\n*.bin filter=lfs diff=lfs -text\n";
    fs::write(work.join(".gitattributes"), attributes).unwrap();
    let module = format!("160000,{},lib", git(&work, &["rev-parse", "HEAD"]));
    fs::write(
        work.join(".gitmodules"),
        "[submodule \"lib\"]\n\tpath = lib\n\turl = https://git.example.invalid/lib\n",
    )
    .unwrap();
    git(&work, &["add", ".gitattributes", ".gitmodules"]);
    git(&work, &["update-index", "--add", "--cacheinfo", &module]);
    let base = origin.somebody_pushes("main", "attributes");
    origin.fetch("main").unwrap();
    origin.clone_at(&base, &base).unwrap();
    assert_nothing(&mut origin);
    // Nor when each file must be read again, for its time says nothing.
    let later = SystemTime::now() - Duration::from_secs(3600);
    for entry in fs::read_dir(origin.target()).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            File::open(entry.path())
                .unwrap()
                .set_modified(later)
                .unwrap();
        }
    }
    assert_nothing(&mut origin);
    // `git lfs pull` puts the file in its place.
    fs::write(origin.target().join("large.bin"), content).unwrap();
    assert_nothing(&mut origin);
    fs::write(origin.target().join("large.bin"), "other\n").unwrap();
    assert_eq!(origin.work("src").uncommitted.items, ["large.bin"]);
    fs::write(origin.target().join("large.bin"), pointer).unwrap();
    fs::write(origin.target().join("crlf.txt"), "one\r\nthree\r\n").unwrap();
    fs::set_permissions(
        origin.target().join("run.sh"),
        PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    assert_eq!(origin.work("src").uncommitted.items, ["crlf.txt", "run.sh"]);
}

#[test]
fn names_what_status_shows_and_what_it_was_told_to_hide() {
    let mut origin = world();
    let clone = origin.target();
    fs::write(clone.join("ignored.pyc"), "").unwrap();
    fs::write(clone.join("manage.py"), "changed").unwrap();
    fs::write(clone.join("intended"), "").unwrap();
    git(&clone, &["add", "--intent-to-add", "intended"]);
    fs::create_dir_all(clone.join("new/deep")).unwrap();
    fs::write(clone.join("new/deep/a"), "").unwrap();
    fs::write(clone.join("new/b"), "").unwrap();
    fs::write(clone.join("pressa/c.py"), "").unwrap();
    let expected = ["intended", "manage.py", "new/", "pressa/c.py"];
    assert_eq!(origin.work("src").uncommitted.items, expected);

    fs::remove_file(clone.join(".gitignore")).unwrap();
    assert!(
        origin
            .work("src")
            .uncommitted
            .items
            .contains(&".gitignore (deleted)".to_owned()),
        "{:?}",
        origin.work("src")
    );
    git(&clone, &["checkout", "--quiet", ".gitignore"]);
    git(&clone, &["rm", "--cached", "--quiet", "intended"]);
    for name in ["intended", "new/deep/a", "new/b", "pressa/c.py"] {
        fs::remove_file(clone.join(name)).unwrap();
    }
    for flag in ["assume-unchanged", "skip-worktree"] {
        git(&clone, &["checkout", "--quiet", "--", "manage.py"]);
        git(&clone, &["update-index", &format!("--{flag}"), "manage.py"]);
        assert_nothing(&mut origin);
        fs::write(clone.join("manage.py"), "changed where nobody looks").unwrap();
        assert_eq!(git(&clone, &["status", "--porcelain"]), "", "{flag}");
        assert_eq!(
            origin.work("src").uncommitted.items,
            ["manage.py"],
            "{flag}"
        );
        // Looking changed nothing.
        assert_eq!(git(&clone, &["status", "--porcelain"]), "", "{flag}");
        git(
            &clone,
            &["update-index", &format!("--no-{flag}"), "manage.py"],
        );
    }
    // A sparse checkout leaves files out.
    git(&clone, &["checkout", "--quiet", "--", "manage.py"]);
    git(&clone, &["update-index", "--skip-worktree", "manage.py"]);
    fs::remove_file(clone.join("manage.py")).unwrap();
    assert_nothing(&mut origin);
}

#[test]
fn what_tools_make_again_is_work_where_git_keeps_it() {
    let mut origin = world();
    let clone = origin.target();
    fs::create_dir(clone.join("node_modules")).unwrap();
    fs::write(clone.join("node_modules/a.js"), "").unwrap();
    assert_eq!(origin.work("src").uncommitted.items, ["node_modules/"]);
    own(&clone, &["add", "--all"]);
    own(&clone, &["commit", "--quiet", "-m", "vendored"]);
    own(&clone, &["push", "--quiet", "origin", "HEAD"]);
    assert_nothing(&mut origin);
    fs::write(clone.join("node_modules/a.js"), "patched").unwrap();
    assert_eq!(origin.work("src").uncommitted.items, ["node_modules/a.js"]);
    git(&clone, &["checkout", "--quiet", "."]);
    fs::write(clone.join(".git/info/exclude"), "node_modules\n").unwrap();
    fs::create_dir_all(clone.join("web/node_modules")).unwrap();
    fs::write(clone.join("web/node_modules/b.js"), "").unwrap();
    let report = origin.look();
    assert!(
        !report.loses_work() && report.files.files == 0,
        "{report:?}"
    );
}

#[test]
fn a_stash_is_one_line_and_what_it_was_made_on_is_seen() {
    let mut origin = world();
    let clone = origin.target();
    fs::write(clone.join("manage.py"), "changed").unwrap();
    own(&clone, &["stash"]);
    let work = origin.work("src");
    assert!(work.uncommitted.is_empty());
    assert_eq!(work.unpushed.len(), 1, "{work:?}");
    assert!(work.unpushed.items[0].contains("WIP on"), "{work:?}");
    assert_eq!(work.stashes, 1);
    own(&clone, &["stash", "drop", "--quiet"]);
    assert_nothing(&mut origin);

    own(
        &clone,
        &[
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "below the stash",
        ],
    );
    fs::write(clone.join("manage.py"), "changed").unwrap();
    own(&clone, &["stash"]);
    own(&clone, &["reset", "--quiet", "--hard", "origin/main"]);
    let lines = origin.work("src").unpushed.items;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines.iter().any(|line| line.ends_with(" below the stash")),
        "{lines:?}"
    );
    // A stash whose list is gone is still there.
    fs::remove_file(clone.join(".git/logs/refs/stash")).unwrap();
    assert_eq!(origin.work("src").unpushed.len(), 2);
}

#[test]
fn what_is_under_way_is_told() {
    let mut origin = world();
    let clone = origin.target();
    let side = own(
        &clone,
        &["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "theirs"],
    );
    own(
        &clone,
        &[
            "push",
            "--quiet",
            "origin",
            &format!("{side}:refs/heads/side"),
        ],
    );
    own(
        &clone,
        &["merge", "--quiet", "--no-ff", "--no-commit", &side],
    );
    let work = origin.look().repositories.remove(0);
    assert_eq!(work.uncommitted.items, ["(a merge is under way)"]);
    assert!(work.unpushed.is_empty(), "{work:?}");
}

#[test]
fn long_lists_are_cut_and_counted() {
    let mut origin = world();
    for number in 0..150 {
        fs::write(origin.target().join(format!("file-{number:03}")), "").unwrap();
        own(
            &origin.target(),
            &["commit", "--quiet", "--allow-empty", "-m", "one more"],
        );
    }
    let work = origin.work("src");
    for list in [&work.uncommitted, &work.unpushed] {
        assert_eq!((list.items.len(), list.more, list.len()), (100, 50, 150));
    }
}

#[test]
fn tells_what_can_be_told_of_a_damaged_one() {
    let mut origin = world();
    let clone = origin.target();
    own(
        &clone,
        &["commit", "--quiet", "--allow-empty", "-m", "mine"],
    );
    let mirror = origin.mirror();
    fs::rename(&mirror, mirror.with_extension("away")).unwrap();
    let work = origin.status().repositories.remove(0);
    assert!(
        !work.remarks.is_empty() && !work.uncommitted.is_empty(),
        "{work:?}"
    );
    fs::rename(mirror.with_extension("away"), &mirror).unwrap();

    git(&clone, &["config", "core.worktree", "/etc"]);
    git(&clone, &["config", "core.bare", "true"]);
    fs::write(clone.join("precious"), "").unwrap();
    assert_eq!(origin.work("src").uncommitted.items, ["precious"]);
    git(&clone, &["config", "extensions.refStorage", "reftable"]);
    let work = origin.work("src");
    assert!(work.remarks[0].contains("in a reftable"), "{work:?}");
    assert!(work.remarks[1].contains("in a reftable"), "{work:?}");

    fs::write(clone.join(".git/HEAD"), "nonsense").unwrap();
    assert!(origin.work("src").remarks[0].starts_with("changes cannot be told"));
    fs::remove_dir_all(clone.join(".git")).unwrap();
    let names = [".gitignore", "manage.py", "precious", "pressa"];
    assert_eq!(origin.work("src").uncommitted.items, names);
    let elsewhere = origin.dir.path().join("elsewhere");
    fs::rename(&clone, &elsewhere).unwrap();
    assert!(!origin.status().loses_work());
    symlink(&elsewhere, &clone).unwrap();
    assert_eq!(origin.status().unseen.items, ["src: it is no folder"]);
}
