//! Real installers, with one small package from the package index.

use crate::rig::Helper;
use cid_daemon::helper::request::{BuildEnvironment, Dependencies};
use git2::{Repository, Signature};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A bare repository with one commit of these files; gives the commit.
fn repository(dir: &Path, files: &[(&str, &str)]) -> (PathBuf, String) {
    let path = dir.join("mirror.git");
    let repository = Repository::init_bare(&path).unwrap();
    let mut tree = repository.treebuilder(None).unwrap();
    for (name, text) in files {
        tree.insert(name, repository.blob(text.as_bytes()).unwrap(), 0o100_644)
            .unwrap();
    }
    let tree = repository.find_tree(tree.write().unwrap()).unwrap();
    let who = Signature::now("a", "a@example.com").unwrap();
    let commit = repository
        .commit(Some("refs/heads/main"), &who, &who, "x", &tree, &[])
        .unwrap();
    (path, commit.to_string())
}

fn build(dir: &Path, text: &str) -> Result<Vec<String>, (String, String)> {
    let mirror = dir.join("mirror.git");
    if mirror.exists() {
        fs::remove_dir_all(&mirror).unwrap();
    }
    let (mirror, commit) = repository(dir, &[("requirements.txt", text)]);
    let mut helper = Helper::start(&dir.join("lock"));
    let ask = BuildEnvironment {
        mirror,
        commit,
        app_dir: ".".into(),
        dependencies: Some(Dependencies::Requirements),
        target: dir.join("environments/one"),
        tools_dir: dir.join("tools"),
    };
    fs::create_dir_all(dir.join("environments")).unwrap();
    helper.ask(ask).map(|()| std::mem::take(&mut helper.lines))
}

fn works(dir: &Path) -> bool {
    let python = dir.join("environments/one/bin/python");
    Command::new(python)
        .args(["-I", "-c", "import six"])
        .status()
        .unwrap()
        .success()
}

/// Every module that was installed has its bytecode: the first to use it may not be able to write.
fn is_compiled(dir: &Path) -> bool {
    let find = "find environments/one/lib -name 'six*.pyc' | grep -q .";
    Command::new("sh")
        .args(["-c", find])
        .current_dir(dir)
        .status()
        .unwrap()
        .success()
}

#[test]
fn by_uv_once() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), "six\n").unwrap();
    assert!(works(dir.path()) && is_compiled(dir.path()));
    let target = dir.path().join("environments/one");
    assert!(target.join(".cid-complete").exists() && !target.join(".cid-build").exists());
    assert_eq!(
        build(dir.path(), "six\n").unwrap(),
        [""; 0],
        "a complete one is left as it is"
    );
    fs::remove_file(target.join(".cid-complete")).unwrap();
    // A link to the machine's own Python: removed, not written to.
    fs::remove_file(target.join("bin/python")).unwrap();
    build(dir.path(), "six\n").unwrap();
    assert!(works(dir.path()));
}

#[test]
fn by_pip_where_uv_cannot_be_had() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("tools")).unwrap();
    // In the place of the folder that uv is brought into.
    fs::write(dir.path().join("tools/uv.new"), "").unwrap();
    let lines = build(dir.path(), "six\n").unwrap();
    assert!(
        lines.iter().any(|line| line.ends_with("going on with pip")),
        "{lines:?}"
    );
    assert!(works(dir.path()) && is_compiled(dir.path()));
}

#[test]
fn a_failed_one_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (message, hint) = build(dir.path(), "six==0.0.0.0.1\n").unwrap_err();
    assert!(
        message.starts_with("cannot install the dependencies: ") && !hint.is_empty(),
        "{message}"
    );
    assert!(!dir.path().join("environments/one").exists());
}
