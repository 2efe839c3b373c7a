//! A started sandbox with a project, and the sentences tests are made of.

use cid_testkit::{
    Answer, GitServer, Output, Sandbox, Snapshot, Tree, assert_same, examples_dir, git,
    guestbook_toml, wait_until,
};
use serde_json::Value;
use std::{fs, path::PathBuf, time::Duration};

pub const ANNA: &str = "anna@example.com";
pub const BERT: &str = "bert@example.com";
/// What is reachable at once on an idle machine, on one with all cores busy.
pub const SOON: Duration = Duration::from_secs(60);

/// The sandbox comes first, so that it is stopped before its git server goes.
pub struct Stage {
    pub sandbox: Sandbox,
    pub server: GitServer,
}

impl Stage {
    /// A project that needs nothing but Python, so that a workspace takes next to no time.
    pub fn hello() -> Self {
        Self::of(&Tree::hello(), "")
    }

    /// A made-up project, with further tables in its file.
    pub fn of(tree: &Tree, tables: &str) -> Self {
        Self::prepared(tree, |stage| {
            let toml = stage.server.project_toml("hello", tables);
            stage.sandbox.write_project("hello", &toml).unwrap();
        })
    }

    /// A made-up project; `prepare` writes the operator's files before the daemon starts.
    pub fn prepared(tree: &Tree, prepare: impl FnOnce(&Self)) -> Self {
        let sandbox = Sandbox::prepare().unwrap();
        let server = GitServer::local_tree(sandbox.home().unwrap(), "hello", tree).unwrap();
        let mut stage = Self { sandbox, server };
        prepare(&stage);
        stage.sandbox.start().unwrap();
        stage
    }

    /// A project behind an SSH server of its own.
    pub fn ssh() -> Self {
        Self::ssh_of(&Tree::hello())
    }

    /// A made-up project behind an SSH server of its own.
    pub fn ssh_of(tree: &Tree) -> Self {
        let mut sandbox = Sandbox::prepare().unwrap();
        let port = sandbox.ports().other();
        let home = sandbox.home().unwrap();
        let server = GitServer::ssh(home, "hello", tree, port).unwrap();
        sandbox
            .write_project("hello", &server.project_toml("hello", ""))
            .unwrap();
        sandbox.start().unwrap();
        Self { sandbox, server }
    }

    /// The Django project of `examples/`.
    pub fn guestbook() -> Self {
        let mut sandbox = Sandbox::prepare().unwrap();
        let home = sandbox.home().unwrap().to_owned();
        let tree = examples_dir().join("guestbook");
        let server = GitServer::local(&home, "guestbook", &tree).unwrap();
        let media = home.join("media");
        fs::create_dir(&media).unwrap();
        let toml = guestbook_toml(&server.url, &media).unwrap();
        sandbox.write_project("guestbook", &toml).unwrap();
        sandbox.start().unwrap();
        Self { sandbox, server }
    }

    pub fn cictl(&self, args: &[&str]) -> Output {
        self.sandbox.cictl(args).unwrap()
    }

    /// A command line that must end with this status.
    #[track_caller]
    pub fn cictl_ends(&self, status: i32, args: &[&str]) -> Output {
        self.cictl(args).status(status).unwrap()
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.sandbox.json(args).unwrap()
    }

    /// Makes a workspace, which must become ready and answer.
    #[track_caller]
    pub fn create(&self, email: &str) -> Workspace {
        self.cictl_ends(0, &["create", email]);
        let workspace = self.show(email);
        assert_eq!(workspace.json["state"], "ready", "{}", workspace.json);
        self.answers(&workspace);
        workspace
    }

    #[track_caller]
    pub fn show(&self, email: &str) -> Workspace {
        Workspace {
            json: self.json(&["show", email]),
        }
    }

    #[track_caller]
    pub fn delete(&self, email: &str) {
        self.cictl_ends(0, &["delete", email, "--yes", "--with-branch"]);
    }

    pub fn get(&self, workspace: &Workspace, path: &str) -> Answer {
        self.sandbox.get(&workspace.host(), path).unwrap()
    }

    /// Its page is its own.
    #[track_caller]
    pub fn answers(&self, workspace: &Workspace) {
        let answer = self.get(workspace, "/");
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains(&workspace.name()), "{}", answer.body);
    }

    /// It answers now or in a moment.
    #[track_caller]
    pub fn answers_soon(&self, workspace: &Workspace) {
        let host = workspace.host();
        wait_until(&format!("{host} to answer"), SOON, || {
            let answer = self.sandbox.get(&host, "/").ok()?;
            (answer.status == 200 && answer.body.contains(&workspace.name())).then_some(())
        })
        .unwrap();
    }

    #[track_caller]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.sandbox, &[&self.server]).unwrap()
    }

    #[track_caller]
    pub fn assert_same(&self, before: &Snapshot) {
        assert_same(before, &self.sandbox, &[&self.server]).unwrap();
    }

    /// A create that must fail as a job and leave nothing: returns what was said.
    #[track_caller]
    pub fn create_is_taken_back(&self, email: &str) -> String {
        let before = self.snapshot();
        let said = self.cictl_ends(1, &["create", email]).text();
        assert_eq!(self.newest_job()["state"], "undone", "{said}");
        self.assert_same(&before);
        self.cictl_ends(3, &["show", email]);
        said
    }

    pub fn newest_job(&self) -> Value {
        self.json(&["jobs", "list", "--limit", "1"])[0].clone()
    }

    /// Until what the first creation wanted for the next ones is there.
    #[track_caller]
    pub fn template_is_made(&self) {
        wait_until("a template", SOON * 3, || {
            let jobs = self.sandbox.json(&["jobs", "list"]).ok()?;
            let is_made = |job: &Value| job["kind"] == "template" && job["state"] == "done";
            jobs.as_array()?.iter().any(is_made).then_some(())
        })
        .unwrap();
    }

    /// Until no job runs any more.
    #[track_caller]
    pub fn jobs_are_over(&self) {
        wait_until("all jobs to end", SOON * 3, || {
            let jobs = self.sandbox.json(&["jobs", "list"]).ok()?;
            let live = ["queued", "running", "undoing"];
            let is_live = |job: &Value| live.iter().any(|state| job["state"] == *state);
            (!jobs.as_array()?.iter().any(is_live)).then_some(())
        })
        .unwrap();
    }
}

/// What `cictl -o json show` says of a workspace.
pub struct Workspace {
    pub json: Value,
}

impl Workspace {
    pub fn text(&self, key: &str) -> String {
        let value = self.json[key].as_str();
        assert!(value.is_some(), "no {key} in {}", self.json);
        value.unwrap().to_owned()
    }

    pub fn name(&self) -> String {
        self.text("name")
    }

    /// The host name in its URL.
    pub fn host(&self) -> String {
        let url = self.text("url");
        let rest = url.strip_prefix("http://").unwrap_or(&url);
        rest.split([':', '/']).next().unwrap_or_default().to_owned()
    }

    pub fn port(&self) -> u16 {
        self.json["port"]
            .as_u64()
            .and_then(|port| port.try_into().ok())
            .unwrap()
    }

    /// The clone.
    pub fn tree(&self) -> PathBuf {
        self.directory().join("src")
    }

    /// The clone, home and run folders.
    pub fn directory(&self) -> PathBuf {
        PathBuf::from(self.text("directory"))
    }

    /// git in the clone, which must succeed; returns what it printed.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        git(&self.tree(), args).unwrap().ok().unwrap().stdout
    }
}
