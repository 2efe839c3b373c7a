//! A root-owned folder with workspaces of users that no one else has.

use crate::{
    rig::{binary, is_root},
    skip::skip,
};
use cid_protocol::run_file::{ProcessCommand, RunAs, RunFile};
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// What the supervisor's unit leaves to root.
const FEW: &str = "-all,+setuid,+setgid,+setpcap,+kill";

pub struct Scene {
    dir: tempfile::TempDir,
    pub uid: u32,
    pub group: u32,
}

impl Scene {
    /// `None`, said aloud, without root.
    pub fn set() -> Option<Self> {
        if !is_root() {
            skip("this needs root, which alone can become another user");
            return None;
        }
        // Not in /tmp, which every helper may write.
        let dir = tempfile::tempdir_in("/var/lib").unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Some(Self {
            dir,
            uid: number(),
            group: number(),
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A folder of another user.
    pub fn folder(&self, name: &str, owner: u32, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    /// The binary where other users reach it.
    pub fn binary(&self) -> PathBuf {
        let path = self.path("cid-helper");
        if !path.exists() && fs::hard_link(binary(), &path).is_err() {
            fs::copy(binary(), &path).unwrap();
        }
        path
    }

    pub fn run_as(&self) -> RunAs {
        RunAs {
            user: "cidw-1".into(),
            uid: self.uid,
            gid: self.uid,
            groups: vec![self.group],
            writable: vec![self.path("workspace")],
            readable: vec![self.path("environment")],
            ..RunAs::default()
        }
    }

    /// Writes a run file as the daemon does, with one process.
    pub fn run_file(&self, line: &str, run_as: Option<RunAs>) -> PathBuf {
        self.folder("workspace", self.uid, 0o700);
        self.folder("environment", 0, 0o755);
        let file = RunFile {
            unit: "pressa.anna".into(),
            dir: self.path("workspace"),
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            network: BTreeMap::new(),
            processes: BTreeMap::from([("web".into(), ProcessCommand::Shell(line.into()))]),
            web_socket: None,
            pid_dir: self.folder("pids", 0, 0o700),
            made_from: Default::default(),
            run_as,
        };
        let path = self.folder("apps", 0, 0o700).join("pressa.anna.json");
        fs::write(&path, serde_json::to_vec(&file).unwrap()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// `cid-helper` as root with as little as the supervisor's unit leaves it.
    pub fn as_root(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--bounding-set", FEW, "--inh-caps=-all", "--"])
            .arg(binary());
        command
    }

    /// `cid-helper` as a unit of systemd's starts it.
    pub fn as_user(&self, uid: u32, groups: &[u32]) -> Command {
        let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={uid}"))
            .arg(if groups.is_empty() {
                "--clear-groups".into()
            } else {
                format!("--groups={}", groups.join(","))
            })
            .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
            .arg("--")
            .arg(self.binary())
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        command
    }
}

/// One of its own for each test, also for those that run at the same time.
pub fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    200_000 + (std::process::id() % 50_000) * 40 + next
}

/// A shell line that says `NAME yes` or `NAME no` for each attempt.
pub fn attempts(list: &[(&str, String)]) -> String {
    let attempt = |(name, line): &(&str, String)| {
        format!("if ({line}) > /dev/null 2>&1; then echo '{name} yes'; else echo '{name} no'; fi\n")
    };
    list.iter().map(attempt).collect()
}

/// Whether this kernel can hold a process by Landlock: it says so itself otherwise.
pub fn is_confined(stderr: &[u8]) -> bool {
    !String::from_utf8_lossy(stderr).contains("Landlock")
}

pub fn readable(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, "text").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    path
}
