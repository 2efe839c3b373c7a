//! A workspace comes, is worked in, and goes without a trace.

use crate::stage::{ANNA, BERT, Stage};
use cid_testkit::Tree;
use std::fs;

#[test]
fn a_django_workspace_from_beginning_to_end() {
    let stage = Stage::guestbook();
    let before = stage.snapshot();
    let base = stage.server.branch("main").unwrap();

    let anna = stage.create(ANNA);
    assert_eq!(anna.name(), "anna---example-com");
    assert_eq!(stage.server.branch("anna---example-com").unwrap(), base);
    assert_eq!(anna.text("commit"), base.unwrap());
    // What cid wrote into the tree is not the developer's to commit.
    assert_eq!(anna.git(&["status", "--porcelain"]), "");
    assert_eq!(
        anna.git(&["rev-parse", "--abbrev-ref", "HEAD@{u}"]).trim(),
        "origin/anna---example-com"
    );

    // The media folder is one for all, in the tree and behind nginx.
    let media = stage.sandbox.home().unwrap().join("media");
    fs::write(media.join("note.txt"), "kept").unwrap();
    assert_eq!(
        fs::read_to_string(anna.tree().join("media/note.txt")).unwrap(),
        "kept"
    );
    assert_eq!(stage.get(&anna, "/media/note.txt").body, "kept");

    // The second one begins with what the migrations of a template made, and shares nothing else.
    stage.template_is_made();
    let annas = anna.tree().join("db.sqlite3");
    let own = fs::read(&annas).unwrap();
    fs::write(&annas, "mine").unwrap();
    let bert = stage.create(BERT);
    let job = bert.text("job");
    let told = stage.cictl_ends(0, &["jobs", "logs", &job]).text();
    assert!(told.contains("of template 1"), "{told}");
    assert!(!told.contains("migrate"), "{told}");
    let database = fs::read(bert.tree().join("db.sqlite3")).unwrap();
    assert!(database.starts_with(b"SQLite format 3"));
    fs::write(&annas, own).unwrap();
    assert_ne!(anna.port(), bert.port());
    stage.answers(&anna);
    assert!(bert.tree().join("db.sqlite3").exists());

    for email in [ANNA, BERT] {
        stage.delete(email);
    }
    assert_eq!(stage.sandbox.get(&anna.host(), "/").unwrap().status, 404);
    assert_eq!(fs::read_to_string(media.join("note.txt")).unwrap(), "kept");
    stage.assert_same(&before);
}

#[test]
fn the_developer_pushes_and_the_branch_stays() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    fs::write(anna.tree().join("new.txt"), "new\n").unwrap();
    anna.git(&["add", "new.txt"]);
    anna.git(&["commit", "--quiet", "--message", "Add new.txt"]);
    anna.git(&["push", "--quiet"]);
    let pushed = stage.server.branch(&anna.text("branch")).unwrap();
    assert_eq!(
        anna.git(&["rev-parse", "HEAD"]).trim(),
        pushed.clone().unwrap()
    );

    // Work that is on the branch alone is not thrown away in passing.
    let refused = stage.cictl_ends(5, &["delete", ANNA, "--yes", "--with-branch"]);
    assert!(refused.text().contains("--force"), "{refused}");
    stage.answers(&anna);
    stage.cictl_ends(0, &["delete", ANNA, "--yes"]);
    assert_eq!(stage.server.branch(&anna.text("branch")).unwrap(), pushed);

    // Who comes back finds it again.
    let again = stage.create(ANNA);
    assert_eq!(again.text("commit"), pushed.unwrap());
    assert!(again.tree().join("new.txt").exists());
    stage.cictl_ends(0, &["delete", ANNA, "--yes", "--with-branch", "--force"]);
    assert_eq!(stage.server.branch(&anna.text("branch")).unwrap(), None);
}

#[test]
fn work_that_is_nowhere_else_is_named_and_kept() {
    let stage = Stage::hello();
    let before = stage.snapshot();
    let anna = stage.create(ANNA);
    fs::write(anna.tree().join("draft.txt"), "a draft\n").unwrap();
    let refused = stage.cictl_ends(5, &["delete", ANNA, "--yes"]).text();
    assert!(
        refused.contains("draft.txt") && refused.contains("--discard"),
        "{refused}"
    );

    anna.git(&["add", "draft.txt"]);
    anna.git(&["commit", "--quiet", "--message", "Keep the draft"]);
    let refused = stage.cictl_ends(5, &["delete", ANNA, "--yes"]).text();
    assert!(refused.contains("Keep the draft"), "{refused}");

    anna.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    fs::write(anna.tree().join("app.py"), "changed\n").unwrap();
    anna.git(&["stash"]);
    let refused = stage
        .cictl_ends(5, &["-o", "json", "delete", ANNA, "--yes"])
        .text();
    assert!(
        refused.contains("stash") || refused.contains("WIP"),
        "{refused}"
    );
    stage.answers(&anna);
    anna.git(&["stash", "drop"]);

    // Work is also what only a tag leads to.
    anna.git(&["checkout", "--quiet", "--detach"]);
    anna.git(&[
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "tagged",
    ]);
    anna.git(&["tag", "kept"]);
    anna.git(&["checkout", "--quiet", &anna.text("branch")]);
    let refused = stage.cictl_ends(5, &["delete", ANNA, "--yes"]).text();
    assert!(refused.contains("tagged"), "{refused}");

    // What the clone's configuration says of another folder does not hide this one's files.
    fs::write(anna.tree().join("precious.txt"), "precious\n").unwrap();
    anna.git(&["config", "core.worktree", "/etc"]);
    let refused = stage.cictl_ends(5, &["delete", ANNA, "--yes"]).text();
    assert!(
        refused.contains("precious.txt") && !refused.contains("passwd"),
        "{refused}"
    );

    stage.cictl_ends(0, &["delete", ANNA, "--yes", "--discard", "--with-branch"]);
    stage.assert_same(&before);
}

#[test]
fn ignored_and_odd_files_go_too() {
    let stage = Stage::of(&Tree::hello().with(".gitignore", "/build\n"), "");
    let before = stage.snapshot();
    let anna = stage.create(ANNA);
    let outside = stage.sandbox.home().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept.txt"), "kept").unwrap();
    let build = anna.tree().join("build");
    let mut deep = build.clone();
    for _ in 0..300 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    std::os::unix::fs::symlink(&outside, build.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", build.join("dangling")).unwrap();
    fs::write(build.join("odd \n name"), "").unwrap();

    stage.delete(ANNA);
    assert_eq!(
        fs::read_to_string(outside.join("kept.txt")).unwrap(),
        "kept"
    );
    stage.assert_same(&before);
}

#[test]
fn a_second_one_for_the_same_address_is_a_conflict() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    for email in [ANNA, "Anna@Example.COM"] {
        let refused = stage.cictl_ends(5, &["create", email]);
        assert!(refused.text().contains(&anna.text("url")), "{refused}");
    }
    stage.answers(&anna);
}

#[test]
fn deleting_needs_a_yes_and_a_workspace() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    let refused = stage.cictl_ends(2, &["delete", ANNA]);
    assert!(refused.text().contains("--yes"), "{refused}");
    stage.answers(&anna);
    stage.cictl_ends(3, &["delete", BERT, "--yes"]);
}
