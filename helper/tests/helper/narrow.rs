//! What a helper may change once the folder that it is for exists.

use crate::{
    rig::{Helper, binary},
    skip::skip,
};
use cid_protocol::request::RunCommand;
use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path, process::Command};

const SERVE: &str =
    "exec \"$0\" \"$@\" --confine-write around --confine-write shared --narrow around/own 2>errors";

fn can_write(helper: &mut Helper, dir: &Path, name: &str) -> bool {
    let line = format!("echo x > {name}");
    let command = RunCommand {
        alone: false,
        command: ["sh", "-c", &line].map(str::to_owned).into(),
        dir: dir.into(),
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
    };
    helper.ask(command).unwrap().status == 0
}

#[test]
fn from_when_its_folder_exists_it_changes_nothing_beside_it() {
    // Not in /tmp, which a unit has for itself and its helper may use.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["around/neighbour", "shared", "outside"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    let mut command = Command::new("sh");
    command.args(["-c", SERVE]).arg(binary());
    command.current_dir(dir.path());
    let mut helper = Helper::start_by(command, &at("lock"));
    let mut writes = |names: &[&str]| {
        names
            .iter()
            .all(|name| can_write(&mut helper, dir.path(), name))
    };
    assert!(writes(&["around/neighbour/a", "shared/a"]));
    fs::create_dir(at("around/own")).unwrap();
    symlink("../neighbour", at("around/own/link")).unwrap();
    // Twice: it stays so.
    for name in ["b", "c"] {
        assert!(writes(&[
            &format!("around/own/{name}"),
            &format!("shared/{name}")
        ]));
        if fs::read_to_string(at("errors"))
            .unwrap()
            .contains("Landlock")
        {
            return skip("the kernel has no Landlock");
        }
        for folder in ["around", "around/neighbour", "around/own/link", "outside"] {
            assert!(!writes(&[&format!("{folder}/{name}")]), "{folder}");
        }
    }
}
