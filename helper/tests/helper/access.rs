//! Access lists, with getfacl as the judge.

use crate::{
    rig::{Helper, binary, is_root},
    skip::skip,
};
use cid_protocol::request::{GrantAccess, Granted, OpenSockets, SkipReason, Skipped};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

fn grant(dir: &Path) -> Granted {
    let ask = GrantAccess {
        roots: vec![dir.join("tree")],
        uids: vec![12345],
        gids: vec![777, 666],
        ..GrantAccess::default()
    };
    Helper::start(&dir.join("lock")).ask(ask).unwrap()
}

/// The list as getfacl shows it, without comments.
fn list(path: &Path) -> Vec<String> {
    let output = Command::new("getfacl")
        .args(["--numeric", "--omit-header", "--absolute-names"])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split('\t').next().unwrap().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn is_given_to_all_that_belongs_to_the_tree_alone() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("folder")).unwrap();
    let file = |name: &str, mode: u32| {
        fs::write(tree.join(name), "").unwrap();
        fs::set_permissions(tree.join(name), Permissions::from_mode(mode)).unwrap();
    };
    file("folder/plain", 0o644);
    file("program", 0o755);
    file("closed", 0o000);
    fs::set_permissions(tree.join("folder"), Permissions::from_mode(0o755)).unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x"), "").unwrap();
    fs::hard_link(outside.join("x"), tree.join("hard")).unwrap();
    symlink(&outside, tree.join("link")).unwrap();
    nix::unistd::mkfifo(&tree.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let before = (
        list(&outside),
        list(&outside.join("x")),
        list(&tree.join("pipe")),
    );

    let granted = grant(dir.path());
    assert_eq!(
        (granted.changed, granted.skipped),
        (
            5,
            vec![Skipped {
                path: tree.join("hard"),
                reason: SkipReason::HardLinks,
            }]
        )
    );
    let file = |rights: &str, owner: &str, group: &str| {
        [
            format!("user::{owner}"),
            format!("user:12345:{rights}"),
            format!("group::{group}"),
            format!("group:666:{rights}"),
            format!("group:777:{rights}"),
            format!("mask::{rights}"),
            "other::---".to_owned(),
        ]
    };
    assert_eq!(list(&tree.join("folder/plain")), file("rw-", "rw-", "r--"));
    assert_eq!(list(&tree.join("program")), file("rwx", "rwx", "r-x"));
    assert_eq!(list(&tree.join("closed")), file("rw-", "---", "---"));
    let access = file("rwx", "rwx", "r-x");
    let default = access.iter().map(|line| format!("default:{line}"));
    assert_eq!(
        list(&tree.join("folder")),
        access.iter().cloned().chain(default).collect::<Vec<_>>()
    );
    assert_eq!(
        (
            list(&outside),
            list(&outside.join("x")),
            list(&tree.join("pipe"))
        ),
        before
    );

    fs::write(tree.join("folder/new"), "").unwrap();
    assert!(
        list(&tree.join("folder/new")).contains(&"other::---".to_owned()),
        "new files inherit it"
    );
    assert_eq!(grant(dir.path()).changed, 0, "nothing lacks anything");
    assert_eq!(list(&tree.join("folder/plain")), file("rw-", "rw-", "r--"));
}

#[test]
fn tells_of_names_that_are_no_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("x"), "").unwrap();
    fs::hard_link(tree.join("x"), tree.join(OsStr::from_bytes(b"a\xff"))).unwrap();
    let skipped = grant(dir.path()).skipped;
    assert!(
        skipped.contains(&Skipped {
            path: tree.join("a\u{fffd}"),
            reason: SkipReason::HardLinks,
        }),
        "{skipped:?}"
    );
}

#[test]
fn what_is_its_owners_alone_gets_no_list() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("folder")).unwrap();
    fs::write(tree.join("folder/plain"), "").unwrap();
    let me = nix::unistd::geteuid().as_raw();
    let ask = |gids: &[u32]| GrantAccess {
        roots: vec![tree.clone()],
        uids: vec![me],
        gids: gids.to_vec(),
        ..GrantAccess::default()
    };
    let mut helper = Helper::start(&dir.path().join("lock"));
    assert_eq!(helper.ask(ask(&[])).unwrap().changed, 0);
    assert!(!list(&tree).join(" ").contains("mask"));
    // Who was let in before is out.
    assert_eq!(helper.ask(ask(&[777])).unwrap().changed, 3);
    assert_eq!(helper.ask(ask(&[])).unwrap().changed, 3);
    assert!(!list(&tree).join(" ").contains("777"));
}

#[test]
fn what_was_made_under_a_default_list_lacks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    assert_eq!(grant(dir.path()).changed, 1);
    fs::write(tree.join("made"), "").unwrap();
    assert_eq!(
        grant(dir.path()).changed,
        0,
        "{:?}",
        list(&tree.join("made"))
    );
    fs::set_permissions(tree.join("made"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(grant(dir.path()).changed, 1);
    let is_open = |line: &String| line.starts_with("mask::rw");
    assert!(list(&tree.join("made")).iter().any(is_open));
}

#[test]
fn only_what_belongs_to_the_owners_that_are_named_is_given() {
    let me = nix::unistd::geteuid().as_raw();
    let other = me + 4321;
    for (owners, is_given) in [
        (vec![], true),
        (vec![me], true),
        (vec![other, me], true),
        (vec![other], false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), "").unwrap();
        let before = [list(&tree), list(&tree.join("file"))];
        let ask = GrantAccess {
            roots: vec![tree.clone()],
            uids: vec![12345],
            owners: owners.clone(),
            ..GrantAccess::default()
        };
        let granted = Helper::start(&dir.path().join("lock")).ask(ask).unwrap();
        if is_given {
            assert_eq!(granted.changed, 2, "{owners:?}");
            assert_eq!(granted.skipped, [], "{owners:?}");
            continue;
        }
        assert_eq!(granted.changed, 0, "{owners:?}");
        let reason = SkipReason::Stranger(me);
        assert!(granted.skipped.iter().all(|of| of.reason == reason));
        assert_eq!(granted.skipped[0].path, tree);
        assert_eq!([list(&tree), list(&tree.join("file"))], before);
    }
}

#[test]
fn who_may_only_read_gets_no_right_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for (name, mode) in [("file", 0o644), ("program", 0o755)] {
        fs::write(tree.join(name), "").unwrap();
        fs::set_permissions(tree.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let ask = |reads_only| GrantAccess {
        roots: vec![tree.clone()],
        uids: vec![12345],
        gids: vec![777],
        reads_only,
        ..GrantAccess::default()
    };
    let mut helper = Helper::start(&dir.path().join("lock"));
    for (reads_only, folder, file, program) in
        [(true, "r-x", "r--", "r-x"), (false, "rwx", "rw-", "rwx")]
    {
        helper.ask(ask(reads_only)).unwrap();
        for (path, rights) in [
            (tree.clone(), folder),
            (tree.join("file"), file),
            (tree.join("program"), program),
        ] {
            let list = list(&path);
            for who in ["user:12345", "group:777"] {
                let wanted = format!("{who}:{rights}");
                assert!(list.contains(&wanted), "{path:?} {wanted}: {list:?}");
            }
        }
    }
}

#[test]
fn who_may_use_sockets_passes_through_their_folder_and_lists_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let ask = || OpenSockets {
        folder: folder.clone(),
        uids: vec![0, 12345],
    };
    let mut helper = Helper::start(&dir.path().join("lock"));
    helper.ask(ask()).unwrap();
    let given = |prefix: &str, rights: &str| {
        [
            "user::rwx".to_owned(),
            format!("user:0:{rights}"),
            format!("user:12345:{rights}"),
            "group::---".to_owned(),
            format!("mask::{rights}"),
            "other::---".to_owned(),
        ]
        .map(|line| format!("{prefix}{line}"))
    };
    let wanted = [given("", "--x"), given("default:", "rw-")].concat();
    assert_eq!(list(&folder), wanted);
    // What the app makes there is for them to use.
    fs::write(folder.join("web.sock"), "").unwrap();
    assert!(list(&folder.join("web.sock")).contains(&"user:12345:rw-".to_owned()));
    assert_eq!(helper.ask(ask()), Ok(()));
}

#[test]
fn is_given_so_deep_and_no_deeper() {
    let dir = tempfile::tempdir().unwrap();
    let at = |depth: usize| dir.path().join("tree").join(["d"; 102][..depth].join("/"));
    fs::create_dir_all(at(102)).unwrap();
    let granted = grant(dir.path());
    // The tree's own folder and a hundred below it; what is in the last one is left alone, and told.
    assert_eq!(granted.changed, 101);
    let skipped = Skipped {
        path: at(100),
        reason: SkipReason::Depth,
    };
    assert_eq!(granted.skipped, [skipped]);
    assert!(list(&at(100)).join(" ").contains("user:12345:rwx"));
    assert!(!list(&at(101)).join(" ").contains("12345"));
}

#[test]
fn is_given_to_a_tree_that_is_a_mount_and_to_no_mount_in_it() {
    if !is_root() {
        skip("this needs root, which alone can mount");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
    fs::create_dir_all(tree.join("a/mounted here")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "").unwrap();
    let mount = format!(
        "mount --bind '{tree}' '{tree}' && mount --bind '{outside}' '{tree}/a/mounted here' && exec \"$0\" \"$@\"",
        tree = tree.display(),
        outside = outside.display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &mount]).arg(binary());
    let ask = GrantAccess {
        roots: vec![tree.clone()],
        uids: vec![12345],
        ..GrantAccess::default()
    };
    let mut helper = Helper::start_by(command, &dir.path().join("lock"));
    let granted = helper.ask(ask).unwrap();
    let skipped = Skipped {
        path: tree.join("a/mounted here"),
        reason: SkipReason::Mount,
    };
    assert_eq!((granted.changed, granted.skipped), (2, vec![skipped]));
    assert!(list(&tree.join("a")).join(" ").contains("12345"));
    for path in [&outside, &outside.join("kept")] {
        assert!(!list(path).join(" ").contains("12345"), "{path:?}");
    }
}
