//! The work of one workspace by three users: the mirror is the deploy user's, the tree the
//! workspace's, all that is around them root's.

use crate::{
    rig::Helper,
    scene::{Scene, number},
};
use cid_protocol::request::{
    CloneTree, Configure, Fetch, FileSource, Given, Inspect, Person, Push, Remote, RunCommand,
    TreeFile, WorkStatus,
};
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

const BRANCH: &str = "devel-anna";

fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=A", "-c", "user.email=a@example.com"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct World {
    scene: Scene,
    deploy: u32,
    home: PathBuf,
}

impl World {
    fn new() -> Option<Self> {
        let scene = Scene::set()?;
        let deploy = number();
        let home = scene.folder("home", 0, 0o755);
        fs::write(home.join(".gitconfig"), "[safe]\n\tdirectory = *\n").unwrap();
        fs::set_permissions(home.join(".gitconfig"), Permissions::from_mode(0o644)).unwrap();
        scene.folder("mirrors", 0, 0o755);
        let mirror = scene.folder("mirrors/pressa.git", deploy, 0o2750);
        chown(&mirror, None, Some(scene.group)).unwrap();
        // A change of group takes the bit away.
        fs::set_permissions(&mirror, Permissions::from_mode(0o2750)).unwrap();
        let work = scene.folder("work", 0, 0o755);
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        fs::write(work.join("manage.py"), "#!/usr/bin/env python3\n").unwrap();
        fs::write(work.join("Procfile"), "web: true\n").unwrap();
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "-m", "first"]);
        let origin = scene.path("origin.git");
        let place = origin.to_str().unwrap();
        git(&work, &["clone", "--quiet", "--bare", ".", place]);
        git(&origin, &["config", "core.sharedRepository", "world"]);
        let chowned = Command::new("chown")
            .args(["-R", &deploy.to_string()])
            .arg(&origin)
            .status();
        assert!(chowned.unwrap().success());
        Some(Self {
            scene,
            deploy,
            home,
        })
    }

    fn helper(&self, uid: u32, home: &Path) -> Helper {
        let mut command = self.scene.as_user(uid, &[self.scene.group]);
        command.env("HOME", home);
        let lock = self.scene.folder(&format!("lock-{uid}"), uid, 0o700);
        Helper::start_by(command, &lock.join("lock"))
    }

    fn mirror(&self) -> PathBuf {
        self.scene.path("mirrors/pressa.git")
    }

    fn remote(&self) -> Remote {
        Remote {
            url: self.scene.path("origin.git").to_str().unwrap().into(),
            identity_file: None,
            known_hosts: None,
            credential_file: None,
        }
    }

    fn fetch(&self) -> Fetch {
        Fetch {
            mirror: self.mirror(),
            remote: self.remote(),
            base: "main".into(),
            branch: BRANCH.into(),
            tags: false,
            is_fresh: false,
            max_bytes: 1 << 30,
        }
    }

    fn status(&self) -> WorkStatus {
        WorkStatus {
            directory: self.scene.path("ws"),
            mirror: self.mirror(),
            url: Some(self.remote().url),
            unasked: None,
            judged: None,
        }
    }

    fn clone_of(&self, commit: &str) -> CloneTree {
        CloneTree {
            mirror: self.mirror(),
            target: self.scene.path("ws/src"),
            url: self.remote().url,
            base: "main".into(),
            base_commit: commit.into(),
            branch: BRANCH.into(),
            commit: commit.into(),
            person: Person {
                home: self.scene.folder("ws/home", self.scene.uid, 0o700),
                email: "anna@example.com".into(),
            },
        }
    }
}

#[test]
fn each_does_its_part_and_no_other() {
    let Some(world) = World::new() else { return };
    let scene = &world.scene;
    let mut deploy = world.helper(world.deploy, &scene.folder("none", 0, 0o755));
    let commit = deploy.ask(world.fetch()).unwrap().base;
    let push = Push {
        mirror: world.mirror(),
        remote: world.remote(),
        branch: BRANCH.into(),
        commit: commit.clone(),
        expected: None,
        dry_run: false,
    };
    deploy.ask(push).unwrap();
    assert_eq!(git(&scene.path("work"), &["rev-parse", "HEAD"]), commit);
    let pushed = fs::read_to_string(scene.path("origin.git/refs/heads").join(BRANCH)).unwrap();
    assert_eq!(pushed.trim(), commit);

    // The parent is root's, so only what is in the folder can change.
    scene.folder("ws", 0, 0o755);
    let tree = scene.folder("ws/src", scene.uid, 0o2770);
    let mut workspace = world.helper(scene.uid, &world.home);
    let inspect = Inspect {
        install: None,
        python: None,
        node: None,
        settings: None,
        trunk: None,
        given: Given::default(),
        mirror: world.mirror(),
        commit: commit.clone(),
        base: commit.clone(),
        app_dir: ".".into(),
    };
    assert!(workspace.ask(inspect).unwrap().django);
    for attempt in ["first", "again", "half made"] {
        workspace
            .ask(world.clone_of(&commit))
            .unwrap_or_else(|(fault, _)| panic!("{attempt}: {fault}"));
        if attempt == "again" {
            fs::remove_file(tree.join(".git/cid-complete")).unwrap();
        }
    }
    let files = vec![TreeFile {
        target: ".env".into(),
        source: FileSource::Text("A=b\n".into()),
        replace: false,
        yields: false,
    }];
    let configure = Configure {
        tree: tree.clone(),
        files,
        links: Vec::new(),
        variables: BTreeMap::new(),
    };
    workspace.ask(configure).unwrap();
    for file in [".env", "manage.py", ".git/config"] {
        assert_eq!(fs::metadata(tree.join(file)).unwrap().uid(), scene.uid);
    }
    let command = RunCommand {
        alone: false,
        command: ["sh", "-c", "git status --short; touch own; touch ../no"]
            .map(Into::into)
            .into(),
        dir: tree.clone(),
        env: BTreeMap::from([("PATH".into(), std::env::var("PATH").unwrap())]),
    };
    assert_ne!(workspace.ask(command).unwrap().status, 0);
    assert!(tree.join("own").exists() && !scene.path("ws/no").exists());
    assert!(!workspace.lines.iter().any(|line| line.contains("dubious")));
    let report = workspace.ask(world.status()).unwrap();
    assert_eq!(report.repositories.len(), 1, "{report:?}");
    let work = &report.repositories[0];
    assert_eq!(work.uncommitted.items, ["own"]);
    assert!(work.unpushed.is_empty(), "the mirror can be read");

    let (fault, _) = workspace.ask(world.fetch()).unwrap_err();
    assert!(
        fault.starts_with("cannot"),
        "it cannot change the mirror: {fault}"
    );
}

#[test]
fn another_users_clone_is_looked_at_as_well() {
    let Some(world) = World::new() else { return };
    let scene = &world.scene;
    let empty = scene.folder("none", 0, 0o755);
    let mut deploy = world.helper(world.deploy, &empty);
    let commit = deploy.ask(world.fetch()).unwrap().base;
    scene.folder("ws", 0, 0o755);
    let tree = scene.folder("ws/src", scene.uid, 0o2770);
    chown(&tree, None, Some(scene.group)).unwrap();
    fs::set_permissions(&tree, Permissions::from_mode(0o2770)).unwrap();
    // A mirror opens without a HOME's word: that it is bare is known.
    let mut workspace = world.helper(scene.uid, &empty);
    workspace.ask(world.clone_of(&commit)).unwrap();
    fs::set_permissions(scene.path("ws/home"), Permissions::from_mode(0o755)).unwrap();
    let report = |home: &Path| world.helper(number(), home).ask(world.status()).unwrap();
    // Developers make repositories too: whose one is has no say in whether it is looked at.
    let told = report(&empty);
    assert!(!told.loses_work(), "{told:?}");
    let told = report(&world.home);
    assert!(!told.loses_work(), "{told:?}");
    fs::write(tree.join("draft"), "").unwrap();
    chown(tree.join("draft"), Some(scene.uid), None).unwrap();
    let told = report(&empty);
    assert_eq!(
        told.repositories[0].uncommitted.items,
        ["draft"],
        "{told:?}"
    );
}
