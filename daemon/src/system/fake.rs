//! A machine that is made up, for testing the engine: nginx, supervisord, git server and helpers
//! are maps in memory; files are real ones in a folder of the test's. The contract tests hold the
//! fakes of nginx and supervisor to the same assertions as the real ones.

mod accounts;
mod nginx;
mod probe;
mod supervisor;
mod told;

pub use supervisor::running;
pub use told::Answer;

use super::{
    HostParts, Site, System,
    helpers::{Call, Launcher},
    nginx::Nginx,
    probe::{Page, PageAnswer},
    queue::Queues,
    supervisor::Process,
    tls::Certificates,
};
use crate::{domain::UnitName, layout::Layout};
use async_trait::async_trait;
use cid_kernel::fs;
use cid_protocol::{
    fault::Fault,
    request::{
        AccessReport, AccountFiles, BranchDeletion, Branches, Built, Checked, Collected, Compared,
        Configured, Dependencies, Ended, Exported, Fetched, FoundCommit, Granted, Inspection,
        LocalInstalled, MailTaken, PathReport, Placed, Posted, Purged, Reports, Request, Resolved,
        SealedBuild, TakenMade, ToolExited, TreeLook, TreeState, WorkReport,
    },
    run_file::RunFile,
};
use nginx::FakeNginx;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use supervisor::FakeSupervisor;
use told::Told;
use uuid::Uuid;

/// The commit every made-up base branch has.
pub const COMMIT: &str = "0123456789012345678901234567890123456789";

/// The made-up machine. Clones share it.
#[derive(Clone)]
pub struct Fake {
    layout: Arc<Layout>,
    state: Arc<Mutex<State>>,
    told: Told,
}

/// All that is not a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// Vhosts that nginx has loaded.
    vhosts: BTreeMap<UnitName, String>,
    /// Program groups that run.
    groups: BTreeMap<UnitName, String>,
    /// Processes of groups that are not just one that runs.
    processes: BTreeMap<UnitName, Vec<Process>>,
    /// Accounts that there are.
    accounts: BTreeSet<String>,
    /// Branches on the git server.
    branches: BTreeMap<String, String>,
    /// How many commits a workspace's branch has that base does not have.
    ahead: usize,
    /// What does not answer: `nginx`, `supervisor`, `git`.
    down: Vec<&'static str>,
    /// What is interrupted, as by a shutdown: `git`.
    interrupted: Vec<&'static str>,
    /// What looks for work find.
    work: WorkReport,
    /// What looks for work find in the clone of a creation that is taken back.
    meanwhile: WorkReport,
}

impl Fake {
    /// A machine with nothing on it but a git server with the branch `main`.
    pub fn new(layout: Arc<Layout>) -> Self {
        let fake = Self {
            layout,
            state: Arc::default(),
            told: Told::default(),
        };
        fake.state().branches.insert("main".into(), COMMIT.into());
        fake
    }

    /// The machine as steps see it.
    pub fn system(&self) -> System {
        let site = Site {
            listen: Vec::new(),
            http_port: 8080,
            listen_https: Vec::new(),
            https_port: 8443,
            front: PathBuf::from("/nowhere/front.sock"),
            helper: PathBuf::from("/nowhere/cid-helper"),
            app_helper: PathBuf::from("/nowhere/cid-helper"),
        };
        let nginx: Arc<dyn Nginx> = Arc::new(FakeNginx(self.clone()));
        System {
            layout: Arc::clone(&self.layout),
            site: Arc::new(site),
            certificates: Arc::new(Certificates::new(
                Arc::clone(&self.layout),
                Arc::clone(&nginx),
            )),
            nginx,
            supervisor: Arc::new(FakeSupervisor(self.clone())),
            host: None,
            helpers: Arc::new(self.clone()),
            queues: Arc::new(Queues::new(2, 4)),
            probe: Arc::new(self.clone()),
            sessions: Arc::default(),
            templates: Arc::default(),
        }
    }

    /// The same as a host, which has accounts.
    pub fn host(&self) -> System {
        System {
            host: Some(HostParts {
                accounts: Arc::new(self.clone()),
                units: Arc::new(|_| Err(Fault::new("there is no systemd here"))),
            }),
            ..self.system()
        }
    }

    /// Makes `nginx`, `supervisor` or `git` stop answering.
    pub fn break_down(&self, what: &'static str) {
        self.state().down.push(what);
    }

    /// Makes `git` end what it is asked for as if it were cancelled.
    pub fn interrupt(&self, what: &'static str) {
        self.state().interrupted.push(what);
    }

    /// Makes everything answer again.
    pub fn mend(&self) {
        let mut state = self.state();
        state.down.clear();
        state.interrupted.clear();
    }

    /// Has supervisord tell this of a workspace's processes, as long as it has its group.
    pub fn tell_processes(&self, unit: &UnitName, processes: Vec<Process>) {
        self.state().processes.insert(unit.clone(), processes);
    }

    /// The commit of a branch on the git server.
    pub fn branch(&self, name: &str) -> Option<String> {
        self.state().branches.get(name).cloned()
    }

    /// Puts a branch on the git server, as somebody else would; it has so many commits more than base.
    pub fn push(&self, name: &str, commit: &str, ahead: usize) {
        let mut state = self.state();
        state.branches.insert(name.into(), commit.into());
        state.ahead = ahead;
    }

    /// Removes a branch from the git server, as somebody else would.
    pub fn remove_branch(&self, name: &str) {
        self.state().branches.remove(name);
    }

    /// Has looks for work find this.
    pub fn leave_work(&self, work: WorkReport) {
        self.state().work = work;
    }

    /// Has looks for work that was made during a creation find this.
    pub fn work_meanwhile(&self, work: WorkReport) {
        self.state().meanwhile = work;
    }

    /// What its helpers were asked, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.told.requests()
    }

    /// Has its helpers answer like this from now on, where it gives an answer.
    pub fn answer(&self, script: impl Fn(&Request) -> Answer + Send + 'static) {
        self.told.answer(script);
    }

    /// Has its sites show these pages from now on, by the cookies that come with a request.
    pub fn show(&self, pages: impl Fn(Page<'_>, &str) -> Option<PageAnswer> + Send + 'static) {
        self.told.show(pages);
    }

    /// All that can be compared, without the files.
    pub fn snapshot(&self) -> String {
        format!("{:#?}", *self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self, what: &'static str) -> Result<(), Fault> {
        if self.state().interrupted.contains(&what) {
            return Err(Fault::cancelled());
        }
        if self.state().down.contains(&what) {
            return Err(Fault::new(format!(
                "cannot reach {what}: it does not answer"
            )));
        }
        Ok(())
    }
}

/// Files in a folder, `UNIT.conf` each.
fn read(dir: &Path, unit: &UnitName) -> Result<Option<String>, Fault> {
    fs::read_optional(&dir.join(format!("{unit}.conf")))
}

fn write(dir: &Path, unit: &UnitName, text: &str) -> Result<(), Fault> {
    fs::make_dir(dir, 0o755)?;
    fs::write_atomic(&dir.join(format!("{unit}.conf")), text.as_bytes(), 0o644)
}

fn list(dir: &Path) -> Result<Vec<UnitName>, Fault> {
    let names = fs::names(dir)?;
    Ok(names
        .iter()
        .filter_map(|name| name.strip_suffix(".conf"))
        .filter_map(UnitName::parse)
        .collect())
}

#[expect(clippy::disallowed_methods, reason = "a made-up tree is not hostile")]
#[async_trait]
impl Launcher for Fake {
    async fn call(&self, call: &Call, request: Request) -> Result<Value, Fault> {
        if call.cancel.is_cancelled() {
            return Err(Fault::cancelled());
        }
        if let Some(answer) = self.told.hear(&request) {
            return tokio::select! {
                answer = answer => answer,
                () = call.cancel.cancelled() => Err(Fault::cancelled()),
            };
        }
        let encode =
            |value: serde_json::Result<Value>| value.map_err(|error| Fault::new(error.to_string()));
        match request {
            Request::UseCredential(_) | Request::HangUp(_) => Ok(Value::Null),
            Request::Fetch(ask) => {
                self.answers("git")?;
                let branch = self.state().branches.get(&ask.branch).cloned();
                encode(serde_json::to_value(Fetched {
                    base: COMMIT.into(),
                    branch,
                    ahead: self.state().ahead,
                }))
            }
            Request::ListBranches(ask) => {
                self.answers("git")?;
                let mut commits = self.state().branches.clone();
                commits.retain(|branch, _| ask.wanted.contains(branch));
                encode(serde_json::to_value(Branches { commits }))
            }
            Request::Inspect(_) => encode(serde_json::to_value(Inspection {
                processes: vec![
                    ("web".into(), "serve $PORT".into()),
                    ("worker".into(), "work".into()),
                ],
                release: Some("migrate".into()),
                dependencies: vec![Dependencies::Requirements],
                dependencies_key: Some("key".into()),
                base_key: Some("key".into()),
                ..Inspection::default()
            })),
            Request::IsAncestor(_) => encode(serde_json::to_value(true)),
            Request::FindCommit(_) => encode(serde_json::to_value(Some(FoundCommit {
                commit: COMMIT.into(),
                subject: "One".into(),
                author: "anna@example.com".into(),
            }))),
            Request::CompareCommits(_) => encode(serde_json::to_value(Compared::default())),
            Request::ExportCommit(ask) => {
                // Emptied first, as by the real one.
                if ask.target.exists() {
                    std::fs::remove_dir_all(&ask.target)
                        .map_err(|error| Fault::io("remove", &ask.target, error))?;
                }
                fs::make_dir(&ask.target, 0o755)?;
                made(fs::write_atomic(&ask.target.join("app.py"), b"x", 0o600))?;
                encode(serde_json::to_value(Exported {
                    files: 1,
                    ..Exported::default()
                }))
            }
            Request::SealBuild(_) => encode(serde_json::to_value(SealedBuild {
                digest: "d".into(),
                files: 1,
                bytes: 1,
            })),
            Request::TakeOver(_) | Request::CopyBuild(_) => Ok(Value::Null),
            Request::TakeMade(ask) => {
                // What commands write is made up, too.
                let made = ask.target.join("new/db.sqlite3");
                fs::make_dir(&ask.target.join("new"), 0o755)?;
                fs::write_atomic(&made, b"x", 0o600)?;
                encode(serde_json::to_value(TakenMade {
                    files: 1,
                    bytes: 1,
                    refusal: None,
                }))
            }
            Request::PlaceMade(ask) => {
                made(fs::write_atomic(&ask.tree.join("db.sqlite3"), b"x", 0o600))?;
                encode(serde_json::to_value(1))
            }
            Request::ReadReports(_) => encode(serde_json::to_value(Reports::default())),
            Request::CloneTree(ask) => {
                let git = ask.target.join(".git");
                fs::make_dir(&git, 0o755)?;
                made(at_commit(&git, &ask.commit))
            }
            Request::BuildPackages(ask) => {
                fs::make_dir(&ask.target, 0o755)?;
                encode(serde_json::to_value(Built::Complete))
            }
            Request::FindPython(_) => Ok(json!({"told": "Python 3.11.2, /usr/bin/python3"})),
            Request::SealPackages(_) => Ok(Value::Null),
            Request::PlacePackages(_) => encode(serde_json::to_value(Placed::default())),
            Request::CheckPackages(ask) => encode(serde_json::to_value(Checked {
                damage: (!ask.target.is_dir()).then(|| "it is gone".into()),
            })),
            Request::InstallLocal(ask) => {
                fs::make_dir(&ask.environment, 0o755)?;
                encode(serde_json::to_value(LocalInstalled::default()))
            }
            Request::FindNode(_) => {
                Ok(json!({"bin": null, "bring": null, "told": "Node 22.11.0, /usr/bin/node"}))
            }
            Request::BringNode(_) | Request::BringUv(_) => Ok(Value::Null),
            Request::DiscardPackages(ask) => made(
                std::fs::remove_dir_all(&ask.target)
                    .map_err(|error| Fault::io("remove", &ask.target, error)),
            ),
            Request::Configure(ask) => {
                for file in &ask.files {
                    fs::write_atomic(&ask.tree.join(&file.target), b"x", 0o600)?;
                }
                encode(serde_json::to_value(Configured::default()))
            }
            Request::EndProcesses(_) => encode(serde_json::to_value(Ended::default())),
            Request::ShowStatic(_) => encode(serde_json::to_value(())),
            Request::CollectStatic(_) => encode(serde_json::to_value(Collected::default())),
            Request::GrantAccess(_) => encode(serde_json::to_value(Granted::default())),
            Request::AnswerBy(ask) => {
                let own = ask.folder.join(format!("web.{}.sock", ask.instance));
                let run_files = self.layout.run_file_dir();
                let has_socket = fs::names(&run_files)?.into_iter().any(|name| {
                    RunFile::read(&run_files.join(name))
                        .is_ok_and(|run_file| run_file.web_socket == Some(own.clone()))
                });
                if !has_socket {
                    return Ok(json!(false));
                }
                // A file's name says which one answers, and no file: the first one.
                for name in fs::names(&ask.folder)? {
                    if name.starts_with("answers-by-") {
                        fs::remove_file(&ask.folder.join(name))?;
                    }
                }
                if ask.instance > 0 {
                    let name = format!("answers-by-{}", ask.instance);
                    fs::write_atomic(&ask.folder.join(name), b"", 0o600)?;
                }
                Ok(json!(true))
            }
            Request::UpdateTree(ask) => {
                let git = ask.directory.join("src/.git");
                let at = match ask.commit {
                    Some(commit) => commit,
                    None => COMMIT.into(),
                };
                made(at_commit(&git, &at))?;
                encode(serde_json::to_value(TreeState {
                    fingerprint: at.clone(),
                    commit: at,
                    snapshot: COMMIT.into(),
                    ..TreeState::default()
                }))
            }
            Request::TakeBackTree(ask) => {
                made(at_commit(&ask.directory.join("src/.git"), &ask.to))?;
                encode(serde_json::to_value(None::<String>))
            }
            Request::OpenSockets(_) | Request::RemoveSocket(_) => encode(serde_json::to_value(())),
            Request::LookAtAccess(_) => encode(serde_json::to_value(AccessReport::default())),
            Request::LookAtPaths(ask) => encode(serde_json::to_value(PathReport {
                obstacles: vec![None; ask.asks.len()],
            })),
            Request::Resolve(_) => encode(serde_json::to_value(Resolved::default())),
            Request::SendMail(_) => encode(serde_json::to_value(MailTaken::Taken)),
            Request::Post(_) => encode(serde_json::to_value(Posted {
                status: 201,
                said: String::new(),
            })),
            Request::RunCommand(ask) => {
                made(fs::write_atomic(&ask.dir.join("db.sqlite3"), b"x", 0o600))?;
                Ok(json!({"status": 0}))
            }
            Request::WorkStatus(_) => encode(serde_json::to_value(&self.state().work)),
            Request::UnfinishedWork(ask) => {
                let found = match fs::exists(&ask.directory.join("src/.git")) {
                    true => self.state().meanwhile.clone(),
                    false => WorkReport::default(),
                };
                encode(serde_json::to_value(found))
            }
            Request::LookAtTree(ask) => {
                let names = fs::names(&ask.tree.join(".git"))?;
                let head = names.iter().find_map(|name| name.strip_prefix("at-"));
                encode(serde_json::to_value(TreeLook {
                    head: head.map(str::to_owned),
                    ..TreeLook::default()
                }))
            }
            Request::FindAccountFiles(_) => encode(serde_json::to_value(AccountFiles::default())),
            Request::RecordMade(_) => Ok(Value::Null),
            Request::RunTool(_) => encode(serde_json::to_value(ToolExited { status: Some(0) })),
            Request::Push(ask) => {
                self.answers("git")?;
                let mut state = self.state();
                match state.branches.get(&ask.branch) {
                    Some(commit) if *commit == ask.commit => {}
                    found if found == ask.expected.as_ref() => {
                        state.branches.insert(ask.branch, ask.commit);
                    }
                    _ => return Err(Fault::new("cannot push: rejected")),
                }
                Ok(Value::Null)
            }
            Request::DeleteBranch(ask) => {
                self.answers("git")?;
                let mut state = self.state();
                let deletion = match state.branches.get(&ask.branch) {
                    None => BranchDeletion::Absent,
                    Some(commit) if *commit == ask.expected => BranchDeletion::Deleted,
                    Some(_) => BranchDeletion::Moved,
                };
                if deletion == BranchDeletion::Deleted {
                    state.branches.remove(&ask.branch);
                }
                encode(serde_json::to_value(deletion))
            }
            // What commands write is made up, too.
            Request::KeepFile(ask) => Ok(json!(ask.part.is_some())),
            Request::KeepOnly(_) => encode(serde_json::to_value(Purged::default())),
            Request::Purge(ask) => {
                let gone = match ask.path.is_dir() {
                    true => std::fs::remove_dir_all(&ask.path),
                    false => std::fs::remove_file(&ask.path),
                };
                let gone = gone.map_err(|error| Fault::io("remove", &ask.path, error));
                made(gone)?;
                encode(serde_json::to_value(Purged { removed: 1 }))
            }
        }
    }

    async fn end(&self, _: Uuid) -> Result<(), Fault> {
        Ok(())
    }
}

/// A file's name says which commit a clone is at.
fn at_commit(git: &Path, commit: &str) -> Result<(), Fault> {
    for name in fs::names(git)? {
        if name.starts_with("at-") {
            fs::remove_file(&git.join(name))?;
        }
    }
    fs::write_atomic(&git.join(format!("at-{commit}")), b"", 0o600)
}

fn made(result: Result<(), Fault>) -> Result<Value, Fault> {
    result.map(|()| Value::Null)
}
