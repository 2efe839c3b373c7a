//! A delete looks for whatever a person can lose.

use crate::stage::{ANNA, SOON, Stage, Workspace};
use cid_testkit::{GitServer, Output, Tree, git, wait_until};
use std::{fs, path::Path};

/// A library that projects have as a submodule, beside the project's own repository.
fn library(stage: &Stage) -> GitServer {
    let tree = Tree::default().with("lib.py", "");
    GitServer::local_tree(stage.sandbox.home().unwrap(), "library", &tree).unwrap()
}

fn clone(from: &GitServer, to: &Path) {
    let to = to.to_str().unwrap();
    git(Path::new("/"), &["clone", "--quiet", &from.url, to])
        .unwrap()
        .ok()
        .unwrap();
}

fn commit(repository: &Path, subject: &str) {
    let args = ["commit", "--quiet", "--allow-empty", "--message", subject];
    git(repository, &args).unwrap().ok().unwrap();
}

#[track_caller]
fn refused(stage: &Stage, named: &[&str]) -> Output {
    let refused = stage.cictl_ends(5, &["delete", ANNA, "--yes"]);
    let text = refused.text();
    for name in named {
        assert!(text.contains(name), "no {name} in: {text}");
    }
    assert!(text.contains("--discard"), "{text}");
    refused
}

/// It goes without `--discard`, and nothing of it is left.
#[track_caller]
fn goes(stage: &Stage) -> String {
    stage.cictl_ends(0, &["delete", ANNA, "--yes"]).text()
}

fn add_submodule(anna: &Workspace, library: &GitServer) {
    let allow = "protocol.file.allow=always";
    anna.git(&[
        "-c",
        allow,
        "submodule",
        "--quiet",
        "add",
        &library.url,
        "lib",
    ]);
    anna.git(&["commit", "--quiet", "--message", "Use the library"]);
    anna.git(&["push", "--quiet", "origin", "HEAD"]);
}

#[test]
fn a_submodules_commits_and_changes_keep_a_workspace() {
    let stage = Stage::hello();
    let library = library(&stage);
    let anna = stage.create(ANNA);
    add_submodule(&anna, &library);
    let module = anna.tree().join("lib");
    fs::write(module.join("lib.py"), "changed\n").unwrap();
    refused(&stage, &["in src/lib:", "lib.py"]);
    git(&module, &["add", "--all"]).unwrap().ok().unwrap();
    commit(&module, "In the library");
    refused(
        &stage,
        &["in src/lib:", "In the library", "lib (other commits)"],
    );
    stage.answers(&anna);
    git(
        &module,
        &["push", "--quiet", "origin", "HEAD:refs/heads/mine"],
    )
    .unwrap()
    .ok()
    .unwrap();
    refused(&stage, &["lib (other commits)"]);
    anna.git(&[
        "commit",
        "--quiet",
        "--all",
        "--message",
        "Go on with the library",
    ]);
    anna.git(&["push", "--quiet", "origin", "HEAD"]);
    goes(&stage);
}

#[test]
fn other_repositories_keep_a_workspace() {
    let stage = Stage::of(&Tree::hello().with(".gitignore", "/vendor\n"), "");
    let library = library(&stage);
    let anna = stage.create(ANNA);
    for place in ["src/vendor/lib", "home/tool"] {
        let path = anna.directory().join(place);
        clone(&library, &path);
        commit(&path, "Patch the tool");
        refused(&stage, &[&format!("in {place}:"), "Patch the tool"]);
        fs::remove_dir_all(&path).unwrap();
    }
    let linked = anna.directory().join("home/linked");
    anna.git(&[
        "worktree",
        "add",
        "--quiet",
        "--detach",
        linked.to_str().unwrap(),
    ]);
    fs::write(linked.join("draft.txt"), "a draft\n").unwrap();
    refused(&stage, &["in home/linked:", "draft.txt"]);
    git(&linked, &["add", "--all"]).unwrap().ok().unwrap();
    commit(&linked, "Detached in a worktree");
    fs::remove_dir_all(&linked).unwrap();
    refused(&stage, &["in src:", "Detached in a worktree"]);
    anna.git(&["worktree", "prune", "--expire", "now"]);
    // Clean and pushed, they do not.
    clone(&library, &anna.directory().join("home/tool"));
    library.commit_file("main", "more.py", "").unwrap();
    goes(&stage);
}

#[test]
fn a_remote_is_believed_as_it_is_now() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    commit(&anna.tree(), "Pushed, and deleted there");
    anna.git(&["push", "--quiet", "origin", "HEAD"]);
    anna.git(&["fetch", "--quiet"]);
    git(stage.server.path(), &["branch", "-D", &anna.text("branch")])
        .unwrap()
        .ok()
        .unwrap();
    refused(&stage, &["in src:", "counts as not held"]);
    anna.git(&["push", "--quiet", "origin", "HEAD"]);
    // A tag there holds as well, and what a reset left behind is named.
    commit(&anna.tree(), "Released");
    anna.git(&["tag", "v1"]);
    anna.git(&["push", "--quiet", "origin", "v1"]);
    commit(&anna.tree(), "Tried out");
    anna.git(&["reset", "--quiet", "--hard", "HEAD~1"]);

    let away = stage.server.path().with_extension("away");
    fs::rename(stage.server.path(), &away).unwrap();
    let json = stage.cictl_ends(5, &["-o", "json", "delete", ANNA, "--yes"]);
    assert!(json.text().contains("cannot be asked"), "{json}");
    refused(
        &stage,
        &["the project's remote cannot be asked", "try again"],
    );
    fs::rename(&away, stage.server.path()).unwrap();
    let said = goes(&stage);
    assert!(said.contains("on no branch any more"), "{said}");
    assert!(
        said.contains(" Tried out") && !said.contains("Released"),
        "{said}"
    );
}

/// An app that commits when it is told to end, and then runs one more command.
fn commits_at_its_end(more: &str) -> Stage {
    let script = "import signal, subprocess, sys\n\
        def end(*_):\n\
        \u{20}   subprocess.run('git commit --quiet --allow-empty -m Late && MORE', shell=True)\n\
        \u{20}   sys.exit()\n\
        signal.signal(signal.SIGTERM, end)\n\
        exec(open('app.py').read())\n"
        .replace("MORE", more);
    let tree = Tree::hello()
        .with("Procfile", "web: exec python3 late.py\n")
        .with("late.py", &script);
    Stage::of(&tree, "")
}

#[test]
fn what_is_committed_while_it_ends_is_asked_for_once_more() {
    let stage = commits_at_its_end("true");
    let anna = stage.create(ANNA);
    let said = stage.cictl_ends(1, &["delete", ANNA, "--yes"]).text();
    assert!(said.contains("somebody worked in it"), "{said}");
    assert!(said.contains("1 unpushed commit in src"), "{said}");
    stage.answers(&anna);
    // Pushed as well, it keeps nothing.
    let stage = commits_at_its_end("git push --quiet origin HEAD");
    stage.create(ANNA);
    goes(&stage);
}

#[test]
fn what_release_commands_and_visits_make_does_not() {
    let release = "[app]\nrelease = [[\"python3\", \"release.py\"]]\n";
    let script = "import sqlite3\n\
        for name in ('ignored.sqlite3', 'open.sqlite3'):\n\
        \u{20}   db = sqlite3.connect(name)\n\
        \u{20}   db.execute('create table visits (number)')\n\
        \u{20}   db.commit()\n\
        open('version.txt', 'w').write('made\\n')\n";
    let tree = Tree::hello()
        .with(".gitignore", "/ignored.sqlite3\n/uploads\n")
        .with("release.py", script)
        .with("version.txt", "as committed\n");
    let stage = Stage::of(&tree, release);
    stage.create(ANNA);
    let said = goes(&stage);
    assert!(!said.contains("not kept by git"), "{said}");

    let anna = stage.create(ANNA);
    let visit = "import sqlite3\n\
        for name in ('ignored.sqlite3', 'open.sqlite3'):\n\
        \u{20}   db = sqlite3.connect(name)\n\
        \u{20}   db.execute('insert into visits values (1)')\n\
        \u{20}   db.execute('create table more (a)')\n\
        \u{20}   db.commit()\n";
    stage.cictl_ends(0, &["run", ANNA, "--", "python3", "-c", visit]);
    fs::create_dir(anna.tree().join("uploads")).unwrap();
    fs::write(anna.tree().join("uploads/photo"), vec![b'x'; 300_000]).unwrap();
    let json = stage.cictl_ends(0, &["-o", "json", "delete", ANNA, "--yes"]);
    let json: serde_json::Value =
        serde_json::from_str(json.stdout.trim().lines().last().unwrap()).unwrap();
    let named: Vec<&str> = json["files"]["biggest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(named[0], "src/uploads/", "{json}");
    assert!(named.contains(&"src/ignored.sqlite3"), "{json}");
    assert!(named.contains(&"src/open.sqlite3"), "{json}");

    let anna = stage.create(ANNA);
    fs::write(anna.tree().join("version.txt"), "by hand\n").unwrap();
    refused(&stage, &["in src:", "version.txt"]);
}

#[test]
fn a_visited_workspace_of_the_example_goes_without_a_word() {
    let stage = Stage::guestbook();
    let anna = stage.create(ANNA);
    stage.answers(&anna);
    let said = goes(&stage);
    assert!(!said.contains("media"), "the shared folder stays: {said}");
}

#[test]
fn more_work_than_fits_is_told_and_counted() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    // Longer names fill what an answer holds sooner: fewer are told, and all are counted.
    for (length, told) in [(20, 100), (200, 23)] {
        for number in 0..130 {
            let name = format!("{length}-{number:03}-{}", "x".repeat(length));
            fs::write(anna.tree().join(name), "").unwrap();
        }
        let last = format!("{length}-{:03}-xxx", told - 1);
        let more = format!("and {} more", 130 - told);
        refused(
            &stage,
            &[
                "130 uncommitted",
                &format!("{length}-000-xxx"),
                &last,
                &more,
            ],
        );
        for number in 0..130 {
            let name = format!("{length}-{number:03}-{}", "x".repeat(length));
            fs::remove_file(anna.tree().join(name)).unwrap();
        }
    }
}

/// An app that never gets healthy.
const DEAF: &str = "web: PORT=0 python3 app.py\n";

#[test]
fn work_in_a_clone_outlives_its_creation() {
    let stage = Stage::of(&Tree::hello().with("Procfile", DEAF), "");
    stage.cictl_ends(0, &["create", ANNA, "--no-wait"]);
    let anna = stage.show(ANNA);
    wait_until("the commands to end", SOON, || {
        anna.tree().join(".git/cid-made").exists().then_some(())
    })
    .unwrap();
    commit(&anna.tree(), "Look why");
    fs::write(anna.tree().join("why.txt"), "notes\n").unwrap();
    let job = stage.newest_job()["id"].as_str().unwrap().to_owned();
    stage.cictl(&["jobs", "cancel", &job]);
    stage.jobs_are_over();
    assert_eq!(stage.newest_job()["state"], "cancelled");
    assert!(!anna.directory().exists());

    let folder = anna.directory().parent().unwrap().join(".kept");
    let kept = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    let kept = kept.path();
    let shown = kept.to_str().unwrap();
    let said = stage.cictl(&["jobs", "show", &job]).text();
    for word in [shown, "Look why", "1 uncommitted file, 1 unpushed commit"] {
        let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(word), "no {word} in: {said}");
    }
    let notes = fs::read_to_string(kept.join("src/why.txt")).unwrap();
    assert_eq!(notes, "notes\n");
    let log = git(&kept.join("src"), &["log", "--format=%s", "-1"]).unwrap();
    assert_eq!(log.stdout.trim(), "Look why");

    let removing = format!("rm -r {shown}");
    assert!(stage.cictl_ends(0, &["doctor"]).text().contains(&removing));
    let refused = stage.cictl(&["project", "remove", "hello", "--yes"]);
    assert!(refused.status != 0, "{refused}");
    assert!(refused.text().contains(&removing), "{refused}");
    fs::remove_dir_all(&kept).unwrap();
    stage.cictl_ends(0, &["project", "remove", "hello", "--yes"]);
    assert!(!folder.exists());
}
