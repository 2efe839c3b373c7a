//! A small file system that fills up.

use crate::stage::{ANNA, BERT, SOON, Stage};
use cid_testkit::{GitServer, Sandbox, Tree, run};
use std::{fs, path::Path, process::Command};

/// A tmpfs, unmounted when dropped.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    /// `None` where mounting is not allowed.
    fn new(path: &'a Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path);
        let output = run(&mut mount, SOON).ok()?;
        (output.status == 0).then_some(Self(path))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(self.0), SOON);
    }
}

#[test]
fn a_full_disk_takes_the_job_back_and_nothing_else() {
    let home = tempfile();
    let dir = home.path().join("box");
    let Some(_mount) = Mount::new(&dir, "48m") else {
        eprintln!("skipped: mounting is not allowed here");
        return;
    };
    let tree = Tree::hello().with("big.txt", &"0123456789abcdef\n".repeat(400_000));
    let server = GitServer::local_tree(home.path(), "hello", &tree).unwrap();
    let options = cid_testkit::Options {
        dir: Some(dir.clone()),
        ..Default::default()
    };
    let mut sandbox = Sandbox::prepare_with(options).unwrap();
    sandbox.configure("min_free_mib = 0\n").unwrap();
    sandbox
        .write_project("hello", &server.project_toml("hello", ""))
        .unwrap();
    sandbox.start().unwrap();
    let mut stage = Stage { sandbox, server };
    let anna = stage.create(ANNA);

    let filler = dir.join("filler");
    // As much as leaves too little for a second clone of 6.8 MB.
    let free = free_bytes(&dir);
    fs::write(
        &filler,
        vec![0_u8; usize::try_from(free - (3 << 20)).unwrap()],
    )
    .unwrap();
    let before = stage.snapshot();
    let said = stage.cictl_ends(1, &["create", BERT]).text();
    assert!(said.to_lowercase().contains("space"), "{said}");
    stage.assert_same(&before);
    stage.answers(&anna);

    // With no space at all even the ledger cannot be written; that is said, and survived.
    let free = free_bytes(&dir);
    fs::write(
        dir.join("filler2"),
        vec![0_u8; usize::try_from(free).unwrap()],
    )
    .unwrap();
    assert_ne!(stage.cictl(&["create", BERT]).status, 0);
    stage.answers(&anna);

    fs::remove_file(filler).unwrap();
    fs::remove_file(dir.join("filler2")).unwrap();
    stage.jobs_are_over();
    stage.create(BERT);
    stage.delete(BERT);
    stage.sandbox.stop().unwrap();
}

#[test]
fn too_little_space_is_said_before_anything_is_done() {
    let mut stage = Stage::hello();
    stage
        .sandbox
        .configure("min_free_mib = 1000000000\n")
        .unwrap();
    stage.sandbox.restart().unwrap();
    let before = stage.snapshot();
    let said = stage.cictl(&["create", ANNA]);
    assert_ne!(said.status, 0, "{said}");
    assert!(said.text().contains("space"), "{said}");
    stage.assert_same(&before);
}

fn tempfile() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("cid-").tempdir().unwrap()
}

fn free_bytes(path: &Path) -> u64 {
    let stat = nix::sys::statvfs::statvfs(path).unwrap();
    stat.blocks_available() * stat.fragment_size()
}
