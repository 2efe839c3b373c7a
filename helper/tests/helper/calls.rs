//! Calls that no code of a repository may make, without root and in the sandbox too.

use crate::{
    app::run_file,
    attack,
    rig::{Helper, binary, to_run},
};
use cid_protocol::request::RunCommand;
use std::{collections::BTreeMap, fs, path::Path, process::Command};

#[test]
fn a_process_and_a_persons_command_are_refused_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = run_file(dir.path(), &[("web", "python3 calls.py")]);
    for verb in [&["app"][..], &["run"]] {
        let folder = dir.path();
        attack::calls(folder);
        let mut command = Command::new(binary());
        command.args(verb).arg(&file);
        if verb == ["app"] {
            command.arg("web");
        }
        command.stdin(to_run(&["python3", "calls.py"]));
        let output = command.output().unwrap();
        attack::assert_refused(&String::from_utf8_lossy(&output.stdout));
        empty(folder, &file);
    }
}

fn empty(folder: &Path, but: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else if path != but {
            fs::remove_file(path).unwrap();
        }
    }
}

fn shell(dir: &Path, line: &str) -> RunCommand {
    RunCommand {
        alone: false,
        command: vec!["sh".into(), "-c".into(), line.into()],
        dir: dir.into(),
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
    }
}

#[test]
fn a_helpers_command_is_refused_them_and_its_helper_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    attack::calls(&tree);
    let mut helper = Helper::start(&dir.path().join("lock"));
    // Twice: what the first gave up is not the helper's.
    for _ in 0..2 {
        helper.lines.clear();
        helper.ask(shell(&tree, "exec python3 calls.py")).unwrap();
        attack::assert_refused(&(helper.lines.join("\n") + "\n"));
        empty(&tree, &tree.join("calls.py"));
    }
    // Of its own it needs openat2, and its commands must not have it make the call for them.
    let status = fs::read_to_string(format!("/proc/{}/status", helper.pid())).unwrap();
    assert!(status.contains("Seccomp_filters:\t0\n"), "{status}");
}
