//! Trees that somebody made to be hard to remove.

use crate::{
    rig::{Helper, binary, is_root},
    skip::skip,
};
use cid_protocol::request::Purge;
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
};

const NOBODY: u32 = 65534;

/// A helper with few descriptors, started by a shell line.
fn helper(dir: &Path, before: &str) -> Helper {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -n 64; {before} \"$0\" \"$@\"")])
        .arg(binary());
    Helper::start_by(command, &dir.join("lock"))
}

fn purge(dir: &Path) -> Result<u64, (String, String)> {
    helper(dir, "exec")
        .ask(Purge {
            path: dir.join("tree"),
        })
        .map(|purged| purged.removed)
}

/// On a disk each of many folders takes a block to write.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

#[test]
fn very_deep() {
    const DEPTH: u64 = 100_000;
    let dir = in_memory();
    fs::create_dir(dir.path().join("tree")).unwrap();
    let mut folder: std::os::fd::OwnedFd = File::open(dir.path().join("tree")).unwrap().into();
    for _ in 0..DEPTH {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = openat(
            &folder,
            "d",
            OFlags::RDONLY | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .unwrap();
    }
    drop(folder);
    assert_eq!(purge(dir.path()).unwrap(), DEPTH + 1);
    assert!(!dir.path().join("tree").exists());
}

#[test]
fn very_broad() {
    let dir = tempfile::tempdir().unwrap();
    for folder in 0..1_000 {
        let folder = dir.path().join(format!("tree/{folder}/x"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..20 {
            File::create(folder.join(file.to_string())).unwrap();
        }
    }
    assert_eq!(purge(dir.path()).unwrap(), 1 + 2_000 + 20_000);
}

#[test]
fn of_strange_things_with_strange_names() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    let long = "n".repeat(255);
    let names: [&[u8]; 6] = [
        b"line\nfeed",
        b"\xff\xfe",
        b"-rf",
        b"...",
        b"a b\t'\"\\",
        long.as_bytes(),
    ];
    for name in names {
        let folder = tree
            .join(OsStr::from_bytes(name))
            .join(OsStr::from_bytes(name));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(OsStr::from_bytes(name)), "").unwrap();
        symlink(&outside, folder.join("link")).unwrap();
        nix::unistd::mkfifo(&folder.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    drop(UnixListener::bind(tree.join("socket")).unwrap());
    fs::hard_link(outside.join("kept"), tree.join("hard")).unwrap();
    assert_eq!(purge(dir.path()).unwrap(), 1 + 6 * 5 + 2);
    assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
    assert_eq!(fs::metadata(outside.join("kept")).unwrap().nlink(), 1);
}

#[test]
fn of_folders_that_their_owner_closed() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o000, 0o111, 0o444, 0o500] {
        let folder = dir.path().join(format!("tree/{mode}/inner"));
        fs::create_dir_all(folder.join("deep/er")).unwrap();
        fs::write(folder.join("deep/file"), "").unwrap();
        for closed in [&folder.join("deep"), &folder, folder.parent().unwrap()] {
            fs::set_permissions(closed, Permissions::from_mode(mode)).unwrap();
        }
    }
    let tree = dir.path().join("tree");
    fs::set_permissions(&tree, Permissions::from_mode(0o555)).unwrap();
    let mut before = String::from("exec");
    if is_root() {
        // Root is stopped by no mode, so somebody else does it.
        let owner = format!("{NOBODY}:{NOBODY}");
        assert!(
            Command::new("chown")
                .arg("-R")
                .arg(owner)
                .arg(dir.path())
                .status()
                .unwrap()
                .success()
        );
        before = format!("exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups");
    }
    let removed = helper(dir.path(), &before)
        .ask(Purge { path: tree })
        .unwrap()
        .removed;
    assert_eq!(removed, 1 + 4 * 5);
}

#[test]
fn of_one_that_something_is_mounted_in() {
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
        "mount --bind '{}' '{}/a/mounted here' &&",
        outside.display(),
        tree.display()
    );
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "sh",
            "-c",
            &format!("{mount} exec \"$0\" \"$@\""),
        ])
        .arg(binary());
    let mut helper = Helper::start_by(command, &dir.path().join("lock"));
    let (message, hint) = helper.ask(Purge { path: tree.clone() }).unwrap_err();
    assert!(
        message.contains("mounted here") && hint.contains("umount"),
        "{message} {hint}"
    );
    assert!(outside.join("kept").exists());
    drop(helper);
    assert!(purge(dir.path()).is_ok() && !tree.exists());
}
