//! Each way in which ledger and machine can differ is found, named and, where nothing can be lost,
//! mended.

use crate::stage::{ANNA, BERT, SOON, Stage};
use cid_testkit::{Tree, wait_until};
use serde_json::Value;
use std::{
    fs,
    process::{Command, Stdio},
};

/// Until doctor finds something whose subject holds `subject`.
#[track_caller]
fn finds(stage: &Stage, subject: &str) -> Value {
    wait_until(&format!("doctor to find {subject}"), SOON, || {
        let found = stage.cictl(&["-o", "json", "doctor"]);
        let findings: Value = serde_json::from_str(&found.stdout).ok()?;
        let all = findings.as_array()?.clone();
        let is_it = |f: &Value| f["subject"].as_str().is_some_and(|s| s.contains(subject));
        let it = all.into_iter().find(is_it)?;
        assert_eq!(found.status, 1, "{found}");
        assert!(!it["repair"].as_str()?.is_empty(), "{it}");
        Some(it)
    })
    .unwrap()
}

#[test]
fn what_a_workspace_should_have_and_has_not() {
    let stage = Stage::hello();
    stage.create(BERT);
    let state = stage.sandbox.dir().join("state");
    let parts = [
        ("nginx/vhosts/hello.anna---example-com.conf", "vhost"),
        (
            "supervisor/programs/hello.anna---example-com.conf",
            "program",
        ),
        ("apps/hello.anna---example-com.json", "run file"),
    ];
    let before = stage.snapshot();
    for (path, subject) in parts {
        stage.create(ANNA);
        fs::remove_file(state.join(path)).unwrap();
        let finding = finds(&stage, subject);
        assert!(
            finding["subject"]
                .as_str()
                .unwrap()
                .contains("anna---example-com"),
            "{finding}"
        );
        // A damaged workspace can be deleted all the same, without a trace.
        stage.delete(ANNA);
        stage.assert_same(&before);
    }
    let anna = stage.create(ANNA);
    // Without it supervisord would not start.
    let logs = stage
        .sandbox
        .dir()
        .join("log/apps/hello.anna---example-com");
    fs::remove_dir_all(&logs).unwrap();
    finds(&stage, "log folder");
    stage.cictl_ends(0, &["doctor", "--repair"]);
    assert!(logs.is_dir());
    fs::remove_dir_all(anna.directory()).unwrap();
    finds(&stage, "anna---example-com");
    let said = stage
        .cictl_ends(0, &["delete", ANNA, "--yes", "--with-branch"])
        .text();
    assert!(said.contains("gone already"), "{said}");
    stage.assert_same(&before);
    stage.cictl_ends(0, &["doctor"]);
}

#[test]
fn what_says_something_else_is_written_again() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    let bert = stage.create(BERT);
    let before = stage.snapshot();
    let state = stage.sandbox.dir().join("state");
    let vhost = state.join("nginx/vhosts/hello.anna---example-com.conf");
    let text = fs::read_to_string(&vhost).unwrap();
    let (own, other) = (anna.port().to_string(), bert.port().to_string());
    fs::write(&vhost, text.replace(&own, &other)).unwrap();
    finds(&stage, "vhost hello.anna---example-com");
    let program = state.join("supervisor/programs/hello.bert---example-com.conf");
    fs::remove_file(&program).unwrap();
    finds(&stage, "program hello.bert---example-com");
    stage.cictl_ends(0, &["doctor", "--repair"]);
    stage.answers_soon(&anna);
    stage.answers_soon(&bert);
    stage.cictl_ends(0, &["doctor"]);
    stage.assert_same(&before);

    fs::remove_dir_all(state.join("mirrors/hello/mirror.git")).unwrap();
    finds(&stage, "mirror");
    stage.cictl_ends(0, &["project", "check", "hello"]);
    stage.cictl_ends(0, &["doctor"]);

    let tree = anna.tree();
    fs::rename(&tree, tree.with_extension("away")).unwrap();
    std::os::unix::fs::symlink("/etc", &tree).unwrap();
    finds(&stage, "anna---example-com/src");
    let refused = stage.cictl_ends(5, &["delete", ANNA, "--yes"]).text();
    assert!(!refused.contains("passwd"), "{refused}");
}

/// Shared packages must not change; changed ones are built again.
#[test]
fn packages_that_all_use_are_sealed_and_made_anew_when_damaged() {
    let stage = Stage::of(&Tree::hello().with("requirements.txt", "six==1.17.0\n"), "");
    let anna = stage.create(ANNA);
    let works = "import six; assert six.__version__ == '1.17.0'";
    for attack in [
        "rm .venv/lib/python*/site-packages/six.py",
        "echo raise >> .venv/lib/python*/site-packages/six.py",
        "rm -rf .venv/lib/.",
        ".venv/bin/python -m ensurepip --default-pip",
        "mv .venv/bin/python .venv/bin/other",
        "python3 -c 'import glob, os; os.remove(glob.glob(\".venv/lib/python*/site-packages/six.py\")[0])'",
    ] {
        let said = stage.cictl(&["run", ANNA, "--", "sh", "-c", attack]);
        assert_ne!(said.status, 0, "{attack}: {said}");
        stage.cictl_ends(0, &["run", ANNA, "--", "python", "-c", works]);
    }
    stage.cictl_ends(0, &["doctor"]);

    let packages = fs::canonicalize(anna.tree().join(".venv")).unwrap();
    let open = |path: &str| {
        let line = format!("chmod -R u+w {0} && rm -r {0}{path}", packages.display());
        let done = Command::new("sh").args(["-c", &line]).status().unwrap();
        assert!(done.success());
    };
    // A workspace that is deleted with its work, and one without its folder.
    for (harm, email) in [
        ("/lib/python*/site-packages/six.py", BERT),
        ("", "eve@example.com"),
    ] {
        open(harm);
        let finding = finds(&stage, &packages.display().to_string());
        assert_eq!(finding["kind"], "drift", "{finding}");
        let said = stage.cictl_ends(0, &["create", email]).text();
        assert!(said.contains("are not as they were installed"), "{said}");
        stage.cictl_ends(0, &["run", email, "--", "python", "-c", works]);
        stage.cictl_ends(0, &["run", ANNA, "--", "python", "-c", works]);
        stage.cictl_ends(0, &["doctor"]);
    }
}

#[test]
fn a_command_that_runs_ends_with_its_workspace() {
    let stage = Stage::hello();
    stage.create(ANNA);
    let mut running = stage.sandbox.cictl_command();
    let mut running = running
        .args(["run", ANNA, "--", "sleep", "600"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mark = "CID_UNIT=hello.anna---example-com";
    let sleeps = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter(|entry| {
            let read = |name| fs::read(entry.path().join(name)).unwrap_or_default();
            let holds = |bytes: Vec<u8>, text: &str| String::from_utf8_lossy(&bytes).contains(text);
            holds(read("cmdline"), "sleep")
                && holds(read("environ"), mark)
                && holds(read("environ"), &stage.sandbox.dir().display().to_string())
        })
        .count()
    };
    wait_until("the command to run", SOON, || (sleeps() == 1).then_some(())).unwrap();
    stage.delete(ANNA);
    wait_until("the command to end", SOON, || (sleeps() == 0).then_some(())).unwrap();
    assert!(!running.wait().unwrap().success());
}

#[test]
fn what_is_there_and_nobodys() {
    let stage = Stage::hello();
    let anna = stage.create(ANNA);
    let before = stage.snapshot();
    let dir = stage.sandbox.dir();
    let vhost = dir.join("state/nginx/vhosts/hello.anna---example-com.conf");
    let ghost = fs::read_to_string(&vhost)
        .unwrap()
        .replace("anna---example-com", "ghost---example-com");
    fs::write(
        dir.join("state/nginx/vhosts/hello.ghost---example-com.conf"),
        ghost,
    )
    .unwrap();
    finds(&stage, "vhost hello.ghost---example-com");
    fs::write(dir.join("state/apps/hello.ghost---example-com.json"), "{}").unwrap();
    finds(&stage, "run file of hello.ghost---example-com");
    let mut stray = Command::new("sleep")
        .arg("600")
        .env("CID_RUN_DIR", dir.join("run"))
        .env("CID_UNIT", "hello.ghost---example-com")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    finds(&stage, &format!("process {}", stray.id()));
    let repaired = stage.cictl_ends(0, &["doctor", "--repair"]);
    stray.wait().unwrap();
    stage.cictl_ends(0, &["doctor"]);
    stage.assert_same(&before);
    stage.answers(&anna);
    assert!(repaired.text().contains("ghost"), "{repaired}");

    // A folder may hold a person's work: it is reported and left alone.
    let folder = anna.directory().parent().unwrap().join("somebodys");
    fs::create_dir(&folder).unwrap();
    finds(&stage, "somebodys");
    stage.cictl_ends(1, &["doctor", "--repair"]);
    assert!(folder.is_dir());
}
