//! Small file systems that fill up, each that cid writes to.

use crate::stage::{ANNA, BERT, SOON, Stage};
use cid_testkit::{GitServer, Options, Sandbox, Tree, run, skip, wait_until};
use std::{
    fs,
    io::Write,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A file system of its own, unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    /// In memory; `None` where mounting is not allowed.
    fn memory(path: &Path, options: &str) -> Option<Self> {
        Self::at(path, &["-t", "tmpfs", "-o", options, "tmpfs"])
    }

    /// An ext4 of so many MiB in a file, where folders take room as well.
    fn ext4(path: &Path, image: &Path, mib: u64) -> Option<Self> {
        fs::File::create(image).unwrap().set_len(mib * MIB).unwrap();
        let mut make = Command::new("mkfs.ext4");
        // Without room that is root's alone.
        make.args(["-q", "-m", "0", "-O", "^has_journal"])
            .arg(image);
        if run(&mut make, SOON).is_ok_and(|made| made.status == 0) {
            return Self::at(path, &["-o", "loop", image.to_str().unwrap()]);
        }
        skip("this needs mkfs.ext4");
        None
    }

    fn at(path: &Path, args: &[&str]) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let output = run(Command::new("mount").args(args).arg(path), SOON).ok()?;
        let mount = (output.status == 0).then(|| Self(path.to_owned()));
        if mount.is_none() {
            eprintln!("{output}");
            skip("this needs the right to mount");
        }
        mount
    }

    /// Fills it up but for so many MiB; the same again leaves another amount.
    fn leave(&self, mib: u64) {
        self.make_room();
        let free = free_bytes(&self.0).saturating_sub(mib * MIB);
        let filler = fs::File::create(self.filler()).unwrap();
        let flags = nix::fcntl::FallocateFlags::empty();
        let mut size = free;
        // What a file itself takes is not there for it.
        while size > 0 && fallocate(&filler, size, flags).is_err() {
            size = size.saturating_sub(MIB / 4);
        }
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn make_room(&self) {
        let _ = fs::remove_file(self.filler());
    }
}

fn fallocate(file: &fs::File, size: u64, flags: nix::fcntl::FallocateFlags) -> nix::Result<()> {
    nix::fcntl::fallocate(file, flags, 0, i64::try_from(size).unwrap())
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.0), SOON);
    }
}

fn free_bytes(path: &Path) -> u64 {
    let stat = nix::sys::statvfs::statvfs(path).unwrap();
    stat.blocks_available() * stat.fragment_size()
}

fn home() -> TempDir {
    tempfile::Builder::new().prefix("cid-").tempdir().unwrap()
}

/// A sandbox in `home/box`, with what its settings and its project's file say besides.
fn stage(home: &Path, tree: &Tree, settings: &str, tables: &str) -> Stage {
    let server = GitServer::local_tree(home, "hello", tree).unwrap();
    let options = Options {
        dir: Some(home.join("box")),
        ..Options::default()
    };
    let mut sandbox = Sandbox::prepare_with(options).unwrap();
    sandbox.configure(settings).unwrap();
    let toml = server.project_toml("hello", tables);
    sandbox.write_project("hello", &toml).unwrap();
    sandbox.start().unwrap();
    Stage { sandbox, server }
}

fn big_tree() -> Tree {
    Tree::hello().with("big.txt", &"0123456789abcdef\n".repeat(400_000))
}

/// With more and more room on a file system that is too small, until a create succeeds: each that does not
/// is taken back whole. Then a delete on a full one.
fn fills_up(stage: &Stage, mount: &Mount) {
    let anna = stage.create(ANNA);
    let mut refused = 0;
    for mib in (0..).step_by(2) {
        mount.make_room();
        let before = stage.snapshot();
        mount.leave(mib);
        let said = stage.cictl(&["create", BERT]);
        stage.jobs_are_over();
        assert!(
            stage
                .json(&["jobs", "list"])
                .as_array()
                .unwrap()
                .iter()
                .all(|job| job["state"] != "stuck"),
            "{said}"
        );
        stage.answers(&anna);
        if said.status == 0 {
            break;
        }
        refused += 1;
        mount.make_room();
        stage.assert_same(&before);
        assert!(mib < 60, "it never fits: {said}");
    }
    eprintln!("{refused} creates did not fit on {}", mount.0.display());
    mount.leave(0);
    for email in [ANNA, BERT] {
        stage.cictl_ends(0, &["delete", email, "--yes", "--discard"]);
    }
    mount.make_room();
}

#[test]
fn a_disk_that_is_full_takes_the_job_back_and_lets_workspaces_go() {
    let home = home();
    let dir = home.path().join("box");
    let Some(mount) = Mount::memory(&dir, "size=64m") else {
        return;
    };
    let mut stage = stage(home.path(), &big_tree(), "min_free_mib = 0\n", "");
    fills_up(&stage, &mount);
    stage.sandbox.stop().unwrap();
}

/// Takes whatever becomes free, as a program does that fills the disk again and again.
fn hogged<T>(mount: &Mount, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let mut filler = fs::File::create(mount.filler()).unwrap();
    std::thread::scope(|scope| {
        let hog = scope.spawn(|| {
            let block = [1; 4096];
            while !over.load(Ordering::Relaxed) {
                if filler.write_all(&block).is_err() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let full = || (free_bytes(&mount.0) == 0).then_some(());
        wait_until("the disk is full", SOON, full).unwrap();
        let done = std::panic::catch_unwind(AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        hog.join().unwrap();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn where_all_room_is_taken_at_once_workspaces_restart_and_go_and_a_killed_daemon_starts() {
    let home = home();
    let dir = home.path().join("box");
    let Some(mount) = Mount::memory(&dir, "size=64m") else {
        return;
    };
    let mut stage = stage(home.path(), &Tree::hello(), "min_free_mib = 0\n", "");
    let anna = stage.create(ANNA);
    let bert = stage.create(BERT);
    hogged(&mount, || {
        stage.cictl_ends(0, &["restart", ANNA]);
        stage.answers(&anna);
        let mine = anna.tree().join("mine.txt");
        fs::File::create(&mine).unwrap();
        // The guard looks as closely as ever.
        let said = stage.cictl_ends(5, &["delete", ANNA, "--yes"]).text();
        assert!(said.contains("mine.txt"), "{said}");
        fs::remove_file(&mine).unwrap();
        stage.cictl_ends(0, &["delete", ANNA, "--yes"]);
        stage.sandbox.kill_9().unwrap();
        stage.sandbox.start().unwrap();
        stage.answers(&bert);
        stage.cictl_ends(0, &["delete", BERT, "--yes"]);
        assert_eq!(stage.json(&["list"]), serde_json::json!([]));
    });
    mount.make_room();
    stage.cictl_ends(0, &["doctor"]);
    stage.sandbox.stop().unwrap();
}

#[test]
fn so_does_each_file_system_on_its_own() {
    for place in ["work", "state", "log"] {
        let home = home();
        let dir = home.path().join("box").join(place);
        let image = home.path().join("image");
        let Some(mount) = Mount::ext4(&dir, &image, 64) else {
            return;
        };
        // What mkfs makes does not belong to cid.
        let _ = fs::remove_dir(dir.join("lost+found"));
        let mut stage = stage(home.path(), &big_tree(), "min_free_mib = 0\n", "");
        fills_up(&stage, &mount);
        stage.sandbox.stop().unwrap();
    }
}

#[test]
fn what_would_use_up_the_room_that_is_to_stay_is_stopped() {
    let writing = "for i in $(seq 200); do head -c 1000000 /dev/zero > fill$i; sleep 0.05; done";
    for table in ["install", "release"] {
        let home = home();
        let dir = home.path().join("box/work");
        let Some(_mount) = Mount::memory(&dir, "size=60m") else {
            return;
        };
        let tables = format!("[app]\n{table} = [[\"sh\", \"-c\", \"{writing}\"]]\n");
        let mut stage = stage(home.path(), &Tree::hello(), "min_free_mib = 30\n", &tables);
        let said = stage.create_is_taken_back(ANNA);
        assert!(said.contains("cannot go on: the disk of"), "{said}");
        assert!(said.contains("30 are to stay so"), "{said}");
        assert!(free_bytes(&dir) > 55 * MIB);
        stage.sandbox.stop().unwrap();
    }
}

#[test]
fn too_little_room_anywhere_is_said_before_anything_is_done() {
    for (place, options, lacking) in [
        ("work", "size=100m", "MiB of space"),
        ("state", "size=100m", "MiB of space"),
        ("log", "size=100m", "MiB of space"),
        ("work", "size=100m,nr_inodes=500", "more files"),
    ] {
        let home = home();
        let Some(mount) = Mount::memory(&home.path().join("box").join(place), options) else {
            return;
        };
        let mut stage = stage(home.path(), &Tree::hello(), "min_free_mib = 20\n", "");
        if !options.contains("inodes") {
            stage.create(ANNA);
            mount.leave(10);
        }
        let before = stage.snapshot();
        let said = stage.cictl_ends(5, &["create", BERT]).text();
        assert!(said.contains("cannot make a workspace"), "{said}");
        assert!(said.contains(lacking) && said.contains(place), "{said}");
        stage.assert_same(&before);
        let found = stage.cictl_ends(1, &["doctor"]).text();
        let told = format!(
            "the disk of {}",
            home.path().join("box").join(place).display()
        );
        assert!(
            found.contains(lacking) && found.contains("min_free_mib"),
            "{found}"
        );
        assert!(found.contains(&told), "{found}");
        mount.make_room();
        if !options.contains("inodes") {
            stage.cictl_ends(0, &["doctor"]);
        }
        stage.sandbox.stop().unwrap();
    }
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
