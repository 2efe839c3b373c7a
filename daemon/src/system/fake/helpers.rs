//! The made-up helpers.

use super::{COMMIT, Fake};
use crate::system::helpers::{Call, Launcher};
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
use serde_json::{Value, json};
use std::path::Path;
use uuid::Uuid;

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
            Request::FindPython(_) => {
                Ok(json!({"bring": null, "told": "Python 3.11.2, /usr/bin/python3"}))
            }
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
            Request::BringNode(_) | Request::BringPython(_) | Request::BringUv(_) => {
                Ok(Value::Null)
            }
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
