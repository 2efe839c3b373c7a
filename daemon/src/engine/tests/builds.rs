//! Builds: their verdict, and what their tests get to see.

use super::{super::NoHooks, Kind, Stage};
use crate::{
    domain::{Build, BuildState, JobState, ProjectName},
    system::fake::Answer,
};
use cid_protocol::{
    fault::Fault,
    request::{Request, SealedBuild},
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

const TESTED: &str = "[app]\nbuild = [[\"make\"]]\ntest = [[\"check\"], [\"check\", \"more\"]]\n";

async fn build(stage: &Stage) -> Build {
    let project = ProjectName::parse("demo").unwrap();
    stage.store.build(project, 1).await.unwrap().unwrap()
}

fn run(stage: &Stage, program: &str) -> Vec<Vec<(String, String)>> {
    let requests = stage.fake.requests().into_iter();
    let runs = requests.filter_map(|request| match request {
        Request::RunCommand(ask) if ask.command[0] == program => Some(ask.env),
        _ => None,
    });
    runs.map(|env| env.into_iter().collect()).collect()
}

fn exit_with(request: &Request, program: &str, status: i32) -> Answer {
    match request {
        Request::RunCommand(ask) if ask.command[0] == program => {
            Some(Box::pin(async move { Ok(json!({ "status": status })) }))
        }
        _ => None,
    }
}

#[tokio::test]
async fn failed_tests_are_a_verdict_and_no_failed_job() {
    let stage = Stage::with(TESTED);
    stage.fake.answer(|request| exit_with(request, "check", 1));
    assert_eq!(stage.run(Kind::Build).await.1, JobState::Done);
    let build = build(&stage).await;
    assert_eq!(build.state, BuildState::Failed);
    let message = build.verdict.unwrap().message;
    assert!(message.contains("`check` ended with status 1"), "{message}");
    assert_eq!(
        run(&stage, "check").len(),
        1,
        "the first that fails is the last"
    );
    assert!(build.digest.is_some() && build.took_ms.is_some());
    assert!(!build.directory.join("test").exists());
}

#[tokio::test]
async fn a_build_command_that_fails_leaves_no_files() {
    let stage = Stage::with(TESTED);
    stage.fake.answer(|request| exit_with(request, "make", 2));
    assert_eq!(stage.run(Kind::Build).await.1, JobState::Undone);
    let build = build(&stage).await;
    assert_eq!(build.state, BuildState::Error);
    assert!(!build.directory.exists());
    assert!(run(&stage, "check").is_empty());
}

#[tokio::test]
async fn without_tests_the_verdict_says_so() {
    let stage = Stage::with("");
    assert_eq!(stage.run(Kind::Build).await.1, JobState::Done);
    let build = build(&stage).await;
    assert_eq!(build.state, BuildState::Passed);
    let message = build.verdict.unwrap().message;
    assert!(message.contains("nothing was tested"), "{message}");
}

#[tokio::test]
async fn tests_that_take_too_long_fail() {
    let stage = Stage::with(&format!("{TESTED}[test]\ntimeout = \"1s\"\n"));
    stage.fake.answer(|request| match request {
        Request::RunCommand(ask) if ask.command[0] == "check" => {
            Some(Box::pin(std::future::pending()))
        }
        _ => None,
    });
    // The made-up helper does not end when it is told to.
    let engine = stage.engine(Arc::new(NoHooks));
    let job: Uuid = stage.submit(&engine, Kind::Build).await;
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);
    let message = build(&stage).await.verdict.unwrap().message;
    assert!(message.contains("the tests may take 1 s"), "{message}");
}

#[tokio::test]
async fn tests_that_change_the_sealed_files_spoil_the_build() {
    let stage = Stage::with(TESTED);
    stage.fake.answer(|request| match request {
        Request::SealBuild(ask) => {
            let digest = if ask.reads_only { "other" } else { "d" };
            let sealed = SealedBuild {
                digest: digest.into(),
                files: 1,
                bytes: 1,
            };
            Some(Box::pin(async move { Ok(json!(sealed)) }))
        }
        _ => None,
    });
    let (job, state) = stage.run(Kind::Build).await;
    assert_eq!(state, JobState::Undone);
    let message = stage.failure(job).await.message;
    assert!(message.contains("changed while its tests ran"), "{message}");
    assert!(!build(&stage).await.directory.exists());
}

#[tokio::test]
async fn tests_see_nothing_of_the_projects_database_and_variables() {
    let stage = Stage::with(&format!(
        "{TESTED}[env]\nAPI_TOKEN = \"a-secret-value\"\n[database]\nkind = \"shared\"\n\
         url = \"postgresql://app:a-password@db/shop\"\n[test]\nenv = {{ MODE = \"test\" }}\n"
    ));
    assert_eq!(stage.run(Kind::Build).await.1, JobState::Done);
    let directory = build(&stage).await.directory;
    let runs = run(&stage, "check");
    assert_eq!(runs.len(), 2);
    for env in runs {
        let value = |name: &str| {
            let found = env.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let place = directory.join("test/tmp/test.sqlite3");
        let own = format!("sqlite:///{}", place.display());
        assert_eq!(value("DATABASE_URL"), Some(own));
        assert_eq!(value("MODE").as_deref(), Some("test"));
        assert!(value("API_TOKEN").is_none());
        let told = format!("{env:?}");
        assert!(!told.contains("a-password") && !told.contains("a-secret"));
    }
    assert!(format!("{:?}", run(&stage, "make")).contains("a-secret-value"));
}

#[tokio::test]
async fn a_machines_trouble_is_no_verdict_and_a_program_that_is_not_there_is_one() {
    for no_program in [true, false] {
        let stage = Stage::with(TESTED);
        stage.fake.answer(move |request| match request {
            Request::RunCommand(ask) if ask.command[0] == "check" => {
                let fault = Fault {
                    no_program,
                    ..Fault::new("cannot start it")
                };
                Some(Box::pin(async move { Err(fault) }))
            }
            _ => None,
        });
        let (job, state) = stage.run(Kind::Build).await;
        let build = build(&stage).await;
        if no_program {
            assert_eq!((state, build.state), (JobState::Done, BuildState::Failed));
            let message = build.verdict.unwrap().message;
            assert_eq!(message, "failed: cannot start it");
        } else {
            assert_eq!((state, build.state), (JobState::Undone, BuildState::Error));
            assert_eq!(stage.failure(job).await.message, "cannot start it");
        }
    }
}

#[tokio::test]
async fn what_a_builds_commands_make_is_its_builders_alone() {
    let stage = Stage::with(&format!("{TESTED}install = [[\"install\"]]\n"));
    assert_eq!(stage.run(Kind::Build).await.1, JobState::Done);
    let alone = |requests: Vec<Request>| -> Vec<(String, bool)> {
        let runs = requests.into_iter().filter_map(|request| match request {
            Request::RunCommand(ask) => Some((ask.command[0].clone(), ask.alone)),
            Request::PlacePackages(ask) => Some(("place".to_owned(), ask.alone)),
            _ => None,
        });
        runs.collect()
    };
    let runs = alone(stage.fake.requests());
    assert!(
        runs.len() >= 3 && runs.iter().all(|(_, alone)| *alone),
        "{runs:?}"
    );
    let stage = Stage::with("[app]\ninstall = [[\"install\"]]\n");
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    let runs = alone(stage.fake.requests());
    assert!(
        !runs.is_empty() && runs.iter().all(|(_, alone)| !alone),
        "{runs:?}"
    );
}

#[tokio::test]
async fn sealed_files_are_on_disk_before_they_count() {
    let stage = Stage::with(TESTED);
    // What cannot be synced any more.
    let directory = stage.layout.state_dir.join("builds/demo/1");
    let gone = directory.clone();
    stage.fake.answer(move |request| {
        if matches!(request, Request::SealBuild(_)) {
            std::fs::rename(&gone, gone.with_extension("away")).unwrap();
        }
        None
    });
    let (job, state) = stage.run(Kind::Build).await;
    assert_eq!(state, JobState::Undone);
    let message = stage.failure(job).await.message;
    let expected = format!("cannot open {}", directory.display());
    assert!(message.starts_with(&expected), "{message}");
    assert!(build(&stage).await.digest.is_none());
}
