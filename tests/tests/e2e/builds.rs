//! A commit becomes a build: made, tested, sealed, shown and removed.

use crate::stage::Stage;
use cid_testkit::Tree;
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

const TABLES: &str = r#"[env]
API_TOKEN = "a-secret-of-the-project"
[database]
kind = "shared"
url = "postgresql://app:a-password@db.example.org/shop"
[app]
build = [["python3", "make.py"]]
test = [["python3", "check.py"]]
[test]
env = { MODE = "gate" }
timeout = "60s"
"#;

/// Its tests fail when the file `red` is there; they try to change the build's own files when `spoil` is.
const CHECK: &str = r#"import os, pathlib, sqlite3, sys
print("checking in", os.getcwd())
assert open("made.txt").read() == "made\n", "the build commands ran"
env = os.environ
assert env["MODE"] == "gate"
told = " ".join(f"{k}={v}" for k, v in env.items())
assert "a-secret" not in told and "a-password" not in told, "nothing of the project's"
assert env["DATABASE_URL"].startswith("sqlite:////")
sqlite3.connect(env["DATABASE_URL"].removeprefix("sqlite:///")).execute("create table t (a)")
open("made.txt", "w").write("a copy's")
red = os.path.exists("red")
case = '<testcase classname="Shop" name="sells">' + ("<failure/>" if red else "") + "</testcase>"
pathlib.Path(env["CID_REPORTS"], "r.xml").write_text(f"<testsuite><testcase name='adds'/>{case}</testsuite>")
if os.path.exists("spoil"):
    sealed = pathlib.Path.cwd().parent.parent / "src" / "app.py"
    os.chmod(sealed, 0o644)
    sealed.write_text("changed")
sys.exit(1 if red else 0)
"#;

fn stage() -> Stage {
    let make = "print('made by', __file__)\nopen('made.txt', 'w').write('made\\n')\n";
    let tree = Tree::hello().with("make.py", make).with("check.py", CHECK);
    Stage::of(&tree, TABLES)
}

fn folder(stage: &Stage, number: &str) -> PathBuf {
    stage.sandbox.dir().join("state/builds/hello").join(number)
}

fn show(stage: &Stage, number: &str) -> Value {
    stage.json(&["builds", "show", number])
}

#[test]
fn a_push_is_built_tested_sealed_once_and_removed() {
    let stage = stage();
    stage.cictl_ends(0, &["build"]);
    let one = show(&stage, "1");
    assert_eq!(one["state"], "passed", "{one}");
    assert_eq!((&one["id"], &one["tests"]), (&1.into(), &2.into()), "{one}");
    assert_eq!(one["ref"], "main");
    assert_eq!(one["stages"], Value::Array(Vec::new()));
    assert_eq!(one["digest"].as_str().unwrap().len(), 64);
    let made = folder(&stage, "1").join("src/made.txt");
    assert_eq!(fs::read_to_string(&made).unwrap(), "made\n");
    assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o222, 0);
    assert!(
        !folder(&stage, "1").join("test").exists(),
        "the copy is gone"
    );
    assert!(!folder(&stage, "1").join("src/.git").exists());
    let logs = stage.cictl_ends(0, &["builds", "logs", "1"]);
    let (made, tested) = (logs.stdout.find("made by"), logs.stdout.find("checking in"));
    assert!(made.is_some() && made < tested, "{}", logs.stdout);

    // Once built, never again, unless somebody says so; the content is the same.
    stage.cictl_ends(0, &["build", one["commit"].as_str().unwrap()]);
    assert_eq!(stage.json(&["builds"]).as_array().unwrap().len(), 1);
    stage.cictl_ends(0, &["build", "--again"]);
    assert_eq!(show(&stage, "2")["digest"], one["digest"]);

    stage.server.commit_file("main", "red", "").unwrap();
    let said = stage.cictl_ends(1, &["build"]);
    let three = show(&stage, "3");
    assert_eq!(three["state"], "failed", "{} {three}", said.stderr);
    assert_eq!(three["failed_tests"], serde_json::json!(["Shop.sells"]));
    assert_ne!(three["digest"], one["digest"]);
    // The job itself is done.
    assert_eq!(stage.newest_job()["state"], "done");

    stage.cictl_ends(0, &["builds", "delete", "1"]);
    assert!(!folder(&stage, "1").exists());
    stage.cictl_ends(3, &["builds", "show", "1"]);
    stage.cictl_ends(3, &["builds", "delete", "1"]);
    for missing in ["no-such-branch", "0123456789", "main^{tree}"] {
        stage.cictl_ends(3, &["build", missing]);
    }
    assert_eq!(stage.json(&["builds"]).as_array().unwrap().len(), 2);
}

#[test]
fn what_fails_or_spoils_its_files_leaves_none() {
    let stage = stage();
    stage
        .server
        .commit_file(
            "main",
            "make.py",
            "print('before the end')\nraise SystemExit(7)\n",
        )
        .unwrap();
    let said = stage.cictl_ends(1, &["build"]);
    assert!(
        said.stderr.contains("ended with status 7"),
        "{}",
        said.stderr
    );
    assert_eq!(show(&stage, "1")["state"], "error");
    let logs = stage.cictl_ends(0, &["builds", "logs", "1"]).stdout;
    assert!(logs.contains("before the end"), "{logs}");
    assert!(!folder(&stage, "1").exists());
    let make = "open('made.txt', 'w').write('made\\n')\n";
    stage.server.commit_file("main", "make.py", make).unwrap();
    stage.server.commit_file("main", "spoil", "").unwrap();
    let said = stage.cictl_ends(1, &["build"]);
    assert!(
        said.stderr.contains("changed while its tests ran"),
        "{}",
        said.stderr
    );
    assert!(!folder(&stage, "2").exists());
}
