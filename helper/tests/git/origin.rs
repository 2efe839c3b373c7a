//! A repository with a base branch, as a team has one, and a helper that works with it.

use crate::rig::{Helper, Told};
use cid_protocol::request::{
    BranchDeletion, CloneTree, DeleteBranch, Fetch, Fetched, Person, Push, Remote, RepositoryWork,
    WorkReport, WorkStatus,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub const BRANCH: &str = "devel-anna";

/// A team's repository and a helper's mirror of it.
pub struct Origin {
    pub dir: tempfile::TempDir,
    pub remote: Remote,
    pub helper: Helper,
    /// Whether a fetch brings tags.
    pub tags: bool,
}

impl Origin {
    /// A local one.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bare = dir.path().join("team/pressa.git");
        fs::create_dir_all(&bare).unwrap();
        git(
            &bare,
            &["init", "--quiet", "--bare", "--initial-branch=main"],
        );
        let work = dir.path().join("work");
        fs::create_dir(&work).unwrap();
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        fs::create_dir(work.join("pressa")).unwrap();
        for (name, text) in [
            ("manage.py", "#!/usr/bin/env python3\n"),
            ("pressa/wsgi.py", ""),
            (".gitignore", "*.pyc\n"),
        ] {
            fs::write(work.join(name), text).unwrap();
        }
        git(&work, &["add", "--all"]);
        git(&work, &["update-index", "--chmod=+x", "manage.py"]);
        commit(&work, "first");
        git(&work, &["push", "--quiet", bare.to_str().unwrap(), "main"]);
        let remote = Remote {
            url: bare.to_str().unwrap().into(),
            identity_file: None,
            known_hosts: None,
            credential_file: None,
        };
        let helper = Helper::start(&dir.path().join("lock"));
        Self {
            dir,
            remote,
            helper,
            tags: false,
        }
    }

    pub fn bare(&self) -> PathBuf {
        self.dir.path().join("team/pressa.git")
    }
    pub fn mirror(&self) -> PathBuf {
        self.dir.path().join("mirrors/pressa.git")
    }
    pub fn workspace(&self) -> PathBuf {
        self.dir.path().join("workspace")
    }
    pub fn target(&self) -> PathBuf {
        self.workspace().join("src")
    }

    /// Makes somebody commit and push to a branch; gives the commit.
    pub fn somebody_pushes(&self, branch: &str, subject: &str) -> String {
        let work = self.dir.path().join("work");
        let id = commit(&work, subject);
        git(
            &work,
            &[
                "push",
                "--quiet",
                "--force",
                self.bare().to_str().unwrap(),
                &format!("HEAD:refs/heads/{branch}"),
            ],
        );
        id
    }

    /// The commit of a branch; empty when there is none.
    pub fn branch(&self, branch: &str) -> String {
        git(
            &self.bare(),
            &[
                "for-each-ref",
                "--format=%(objectname)",
                &format!("refs/heads/{branch}"),
            ],
        )
    }

    pub fn fetch(&mut self, base: &str) -> Told<Fetched> {
        self.fetch_for(base, BRANCH)
    }

    /// For a workspace of this branch.
    pub fn fetch_for(&mut self, base: &str, branch: &str) -> Told<Fetched> {
        let ask = Fetch {
            tags: self.tags,
            is_fresh: false,
            max_bytes: 1 << 30,
            mirror: self.mirror(),
            remote: self.remote.clone(),
            base: base.into(),
            branch: branch.into(),
        };
        self.helper.ask(ask)
    }

    pub fn push(&mut self, commit: &str, expected: Option<&str>) -> Told<()> {
        self.push_or_ask(commit, expected, false)
    }

    /// Asks whether a push would be taken.
    pub fn try_push(&mut self, commit: &str, expected: Option<&str>) -> Told<()> {
        self.push_or_ask(commit, expected, true)
    }

    fn push_or_ask(&mut self, commit: &str, expected: Option<&str>, dry_run: bool) -> Told<()> {
        let ask = Push {
            mirror: self.mirror(),
            remote: self.remote.clone(),
            branch: BRANCH.into(),
            commit: commit.into(),
            expected: expected.map(Into::into),
            dry_run,
        };
        self.helper.ask(ask)
    }

    pub fn delete(&mut self, expected: &str) -> Told<BranchDeletion> {
        let ask = DeleteBranch {
            mirror: self.mirror(),
            remote: self.remote.clone(),
            branch: BRANCH.into(),
            expected: expected.into(),
        };
        self.helper.ask(ask)
    }

    pub fn clone_at(&mut self, base: &str, commit: &str) -> Told<()> {
        fs::create_dir_all(self.target().parent().unwrap()).unwrap();
        let ask = CloneTree {
            mirror: self.mirror(),
            target: self.target(),
            url: self.remote.url.clone(),
            base: "main".into(),
            base_commit: base.into(),
            branch: BRANCH.into(),
            commit: commit.into(),
            person: Person {
                home: self.dir.path().into(),
                email: "anna@example.com".into(),
            },
        };
        self.helper.ask(ask)
    }

    pub fn status(&mut self) -> WorkReport {
        self.status_unless(None)
    }

    /// The same where the remote could not be asked, for this reason.
    pub fn status_unless(&mut self, unasked: Option<&str>) -> WorkReport {
        let ask = WorkStatus {
            directory: self.workspace(),
            mirror: self.mirror(),
            url: Some(self.remote.url.clone()),
            unasked: unasked.map(Into::into),
            judged: None,
        };
        self.helper.ask(ask).unwrap()
    }

    /// The work in one repository of the workspace.
    pub fn work(&mut self, path: &str) -> RepositoryWork {
        let report = self.status();
        let found = report.repositories.into_iter().find(|one| one.path == path);
        found.unwrap_or_default()
    }

    /// Brings the mirror up to date and looks, as a delete does.
    pub fn look(&mut self) -> WorkReport {
        self.tags = true;
        self.fetch("main").unwrap();
        self.tags = false;
        self.status()
    }
}

/// Runs git as a person without a configuration of their own would.
pub fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = try_git(dir, arguments);
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn try_git(dir: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap()
}

pub fn commit(work: &Path, subject: &str) -> String {
    let who = ["-c", "user.name=Anna", "-c", "user.email=anna@example.com"];
    git(
        work,
        &[
            &who[..],
            &["commit", "--quiet", "--allow-empty", "-m", subject],
        ]
        .concat(),
    );
    git(work, &["rev-parse", "HEAD"])
}
