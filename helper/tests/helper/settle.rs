//! What a helper that serves leaves behind of the process that it was.

use crate::rig::{Helper, binary};
use cid_protocol::request::{Fetch, Remote, RunCommand, RunTool};
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// A helper that was started with a mask of nothing and may write small core files.
fn helper(dir: &Path) -> Helper {
    let mut command = Command::new("sh");
    let line = "umask 0; ulimit -S -c 0; ulimit -H -c 8; exec \"$0\" \"$@\"";
    command.args(["-c", line]).arg(binary());
    Helper::start_by(command, &dir.join("lock"))
}

fn said(helper: &mut Helper, line: &str) -> Vec<String> {
    helper.lines.clear();
    let command = ["sh", "-c", line].map(str::to_owned).to_vec();
    let env = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]);
    let request = RunCommand {
        alone: false,
        command,
        dir: "/".into(),
        env,
    };
    helper.ask(request).unwrap();
    std::mem::take(&mut helper.lines)
}

#[test]
fn no_core_files_and_no_way_to_more_rights() {
    let dir = tempfile::tempdir().unwrap();
    let mut helper = helper(dir.path());
    // A core would hold what secrets the helper had in its hands, and commands inherit the limit.
    assert_eq!(said(&mut helper, "ulimit -H -c; ulimit -S -c"), ["0", "0"]);
    let status = said(&mut helper, "grep NoNewPrivs: /proc/$$/status");
    assert_eq!(status, ["NoNewPrivs:\t1"]);
}

#[test]
fn each_request_has_the_mask_of_what_it_makes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mode = |name: &str| {
        let found = fs::metadata(dir.path().join(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    let made = Command::new("git")
        .args(["init", "--quiet", "--initial-branch=main", &path("origin")])
        .status()
        .unwrap();
    assert!(made.success());
    let commit =
        "git -C \"$0\" -c user.name=t -c user.email=t@t commit --quiet --allow-empty -m begin";
    let made = Command::new("sh")
        .args(["-c", commit, &path("origin")])
        .status()
        .unwrap();
    assert!(made.success());

    let mut helper = helper(dir.path());
    // The machine's own tools make what everybody reads.
    let command = ["/usr/bin/mkdir".to_owned(), path("by-tool")].to_vec();
    helper.ask(RunTool { command }).unwrap();
    assert_eq!(mode("by-tool"), 0o755);
    // In a tree the group works as well.
    said(&mut helper, &format!("mkdir {}", path("in-tree")));
    assert_eq!(mode("in-tree"), 0o770);
    // A mirror is read by the project's group, also after another kind of request.
    let remote = Remote {
        url: path("origin"),
        identity_file: None,
        known_hosts: None,
        credential_file: None,
    };
    let fetch = Fetch {
        mirror: dir.path().join("mirror"),
        remote,
        base: "main".into(),
        branch: "anna".into(),
        tags: false,
        is_fresh: false,
        max_bytes: 1 << 30,
    };
    helper.ask(fetch).unwrap();
    assert_eq!(mode("mirror"), 0o750);
}
