//! Stages: builds follow each other, from their own sealed files, and secrets stay where they belong.

use super::{super::NoHooks, Kind, Stage, stage::account_of_tests};
use crate::domain::{JobState, Name, ProjectName, Workspace};
use cid_kernel::fs;
use cid_protocol::{
    request::{Dependencies, Inspection, Request, SealedBuild},
    run_file::RunFile,
};
use serde_json::json;
use std::sync::Arc;

const SECRET: &str = "correct-horse{battery}";

async fn live(stage: &Stage) -> Workspace {
    let project = ProjectName::parse("demo").unwrap();
    let name = Name::of_stage("live").unwrap();
    stage.store.stage(project, name).await.unwrap().unwrap()
}

/// The programs of the commands that ran, with their environments.
fn ran(stage: &Stage) -> Vec<(String, std::collections::BTreeMap<String, String>)> {
    let requests = stage.fake.requests().into_iter();
    let runs = requests.filter_map(|request| match request {
        Request::RunCommand(ask) => Some((ask.command.join(" "), ask.env)),
        _ => None,
    });
    runs.collect()
}

#[tokio::test]
async fn a_stage_runs_from_its_builds_own_files_and_writes_no_others() {
    let stage = Stage::ready_for(Kind::Promote).await;
    let build = stage.store.builds(None, None, 1).await.unwrap().remove(0);
    let before = live(&stage).await;
    assert_eq!(stage.run(Kind::Promote).await.1, JobState::Done);
    let after = live(&stage).await;
    assert_eq!((before.deployment, after.deployment), (1, 2));
    assert_eq!(after.commit.as_ref(), Some(&build.source.commit));
    let run_file = RunFile::read(&stage.layout.run_file(&after.instance())).unwrap();
    assert_eq!(run_file.dir, build.directory.join("src"));
    let data = after.directory.join("data");
    assert_eq!(run_file.env["CID_DATA"], data.to_string_lossy());
    assert!(data.is_dir() && !run_file.env.contains_key("CID_WORKSPACE"));
    let run_as = run_file.run_as.unwrap();
    assert_eq!(run_as.uid, account_of_tests());
    let folders = ["home", "tmp", "run", "static", "data"].map(|name| after.directory.join(name));
    assert_eq!(run_as.writable, folders, "not the copies of its database");
    for folder in [build.directory.join("src"), after.directory.join("backups")] {
        assert!(run_as.readable.contains(&folder));
    }
    // Nothing is written into what is sealed.
    let wrote =
        |request: &Request| matches!(request, Request::Configure(_) | Request::GrantAccess(_));
    assert!(!stage.fake.requests().iter().any(wrote));
    let names = fs::names(&stage.layout.run_file_dir()).unwrap();
    assert_eq!(names, ["demo.live.2.json"]);
}

#[tokio::test]
async fn programs_that_packages_bring_are_found_in_the_build() {
    let stage = Stage::new();
    stage.fake.answer(|request| match request {
        Request::Inspect(_) => {
            let found = Inspection {
                processes: vec![("web".into(), "next start".into())],
                dependencies: vec![Dependencies::Npm, Dependencies::Composer],
                dependencies_key: Some("key".into()),
                base_key: Some("key".into()),
                ..Inspection::default()
            };
            Some(Box::pin(async move { Ok(json!(found)) }))
        }
        _ => None,
    });
    for kind in [Kind::Build, Kind::FirstPromote] {
        assert_eq!(stage.run(kind).await.1, JobState::Done);
    }
    let build = stage.store.builds(None, None, 1).await.unwrap().remove(0);
    let row = live(&stage).await;
    let run_file = RunFile::read(&stage.layout.run_file(&row.instance())).unwrap();
    let path: Vec<_> = std::env::split_paths(&run_file.env["PATH"]).collect();
    for folder in ["src/node_modules/.bin", "src/vendor/bin"] {
        assert!(path.contains(&build.directory.join(folder)), "{path:?}");
    }
    assert!(!path.iter().any(|folder| folder.starts_with(&row.directory)));
}

#[tokio::test]
async fn a_backup_comes_before_release_commands_and_a_rollback_runs_neither() {
    let stage = Stage::ready_for(Kind::FirstPromote).await;
    assert_eq!(stage.run(Kind::FirstPromote).await.1, JobState::Done);
    let row = live(&stage).await;
    let past = stage.store.deployments(row.id, 9).await.unwrap();
    let backup = past[0].backup.clone().unwrap();
    assert_eq!(backup.parent(), Some(&*row.directory.join("backups")));
    let programs = || ran(&stage).into_iter().map(|run| run.0).collect::<Vec<_>>();
    // The build's commands ran once, before.
    assert_eq!(
        programs(),
        [
            "make".into(),
            "check".into(),
            format!("dump {}.part", backup.display()),
            "/bin/sh -c migrate".into()
        ]
    );
    let engine = stage.engine(Arc::new(NoHooks));
    let job = stage.submit_promote(&engine, false).await;
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);
    assert_eq!(programs().len(), 4);
    let past = stage.store.deployments(row.id, 9).await.unwrap();
    let past: Vec<_> = past
        .into_iter()
        .map(|old| (old.released, old.backup))
        .collect();
    assert_eq!(past, [(false, None), (true, Some(backup))]);
}

#[tokio::test]
async fn a_build_whose_files_are_others_now_does_not_run() {
    let stage = Stage::ready_for(Kind::Promote).await;
    let before = stage.snapshot().await;
    stage.fake.answer(|request| match request {
        Request::SealBuild(ask) if ask.reads_only => {
            let other = SealedBuild {
                digest: "other".into(),
                files: 1,
                bytes: 1,
            };
            Some(Box::pin(async move { Ok(json!(other)) }))
        }
        _ => None,
    });
    let (job, state) = stage.run(Kind::Promote).await;
    assert_eq!(state, JobState::Undone);
    let message = stage.failure(job).await.message;
    assert!(message.contains("not those that were tested"), "{message}");
    assert_eq!(stage.snapshot().await, before);
}

#[tokio::test]
async fn a_stages_secrets_are_in_its_run_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secrets");
    fs::write_atomic(&file, format!("API={SECRET}\n").as_bytes(), 0o600).unwrap();
    let stage = Stage::with(&format!(
        "[app]\nbuild = [[\"make\"]]\ntest = [[\"check\"]]\n[stages.live]\nsecrets_file = \"{}\"\n",
        file.display()
    ));
    for kind in [Kind::Build, Kind::Create] {
        assert_eq!(stage.run(kind).await.1, JobState::Done);
    }
    stage.fake.answer(|request| match request {
        Request::RunCommand(ask) if ask.env.contains_key("API") => {
            let said = format!("{} says {SECRET}", ask.env["API"]);
            Some(Box::pin(async move {
                Err(cid_protocol::fault::Fault::new(said))
            }))
        }
        _ => None,
    });
    let (job, state) = stage.run(Kind::FirstPromote).await;
    assert_eq!(state, JobState::Undone);
    let message = stage.failure(job).await.message;
    assert!(message.starts_with("*** says ***"), "{message}");
    let given: Vec<_> = ran(&stage)
        .into_iter()
        .filter(|run| run.1.contains_key("API"))
        .collect();
    assert_eq!(given.len(), 1, "the release command alone");
    assert!(!given[0].0.contains(SECRET));
    let row = stage.store.job(job).await.unwrap().unwrap();
    let events = stage.store.events(job, 0, usize::MAX).await.unwrap();
    for told in [
        row.plan.to_string(),
        format!("{events:?}"),
        format!("{:?}", row.failure),
    ] {
        assert!(!told.contains("battery"), "{told}");
    }
    // Others could read it now: nothing runs.
    let before = stage.snapshot().await;
    fs::write_atomic(&file, b"API=1\n", 0o644).unwrap();
    let (job, state) = stage.run(Kind::FirstPromote).await;
    assert_eq!(state, JobState::Undone);
    assert!(
        stage
            .failure(job)
            .await
            .message
            .contains("others than cid's own user")
    );
    assert_eq!(stage.snapshot().await, before);
}

#[tokio::test]
async fn a_build_that_is_being_deployed_is_not_forgotten() {
    use super::{
        super::{Phase, Step as _},
        HoldAt,
    };
    let stage = Stage::ready_for(Kind::FirstPromote).await;
    let build = stage.store.builds(None, None, 1).await.unwrap().remove(0);
    let held = HoldAt::new(crate::step::CheckBuild::KIND, Phase::Observed);
    let engine = stage.engine(held.clone());
    stage.submit(&engine, Kind::FirstPromote).await;
    held.reached().await;
    let kept = stage.store.forget_build(build.id, None).await.unwrap();
    assert!(
        matches!(kept, Some(crate::store::KeptBy::Job(_))),
        "{kept:?}"
    );
}

#[tokio::test]
async fn folders_that_a_killed_attempt_made_are_given_away_all_the_same() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let stage = Stage::ready_for(Kind::FirstPromote).await;
    let directory = stage.layout.work_root.join("demo/live");
    let folders = ["home", "data", "backups"].map(|name| directory.join(name));
    for folder in &folders {
        fs::make_dir(folder, 0o770).unwrap();
        // Only root can make them another user's.
        if chown(folder, Some(1), Some(1)).is_err() {
            return;
        }
    }
    assert_eq!(stage.run(Kind::FirstPromote).await.1, JobState::Done);
    for folder in &folders {
        let owner = std::fs::metadata(folder).unwrap().uid();
        assert_eq!(owner, account_of_tests(), "{}", folder.display());
    }
}
