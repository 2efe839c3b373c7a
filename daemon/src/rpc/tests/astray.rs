use super::stage::Stage;
use crate::domain::{Build, BuildState};
use cid_protocol::{fault::Fault, request::Request};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn tables(command: &str) -> String {
    format!("[app]\ntest = [[\"{command}\"]]\n[stages.one]\n[stages.two]\nbranch = \"other\"\n")
}

fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// The build, once it is in this state.
async fn comes_to(stage: &Stage, number: u32, state: BuildState) -> Build {
    for _ in 0..600 {
        let builds = stage.cid.store.builds(None, None, 9).await.unwrap();
        let found = builds.into_iter().find(|build| build.number == number);
        if let Some(build) = found.filter(|build| build.state == state) {
            return build;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("build {number} does not come to {state}");
}

#[tokio::test]
async fn a_build_under_way_whose_commit_leaves_its_branch_is_cancelled() {
    let stage = Stage::new();
    stage.says("", &tables("check"));
    let is_forced = Arc::new(AtomicBool::new(false));
    let forced = Arc::clone(&is_forced);
    stage.fake.answer(move |request| match request {
        // Tests that go on until they are cancelled.
        Request::RunCommand(_) => Some(Box::pin(std::future::pending())),
        // The made-up git gives all builds one commit: only the first that is asked about is gone.
        Request::IsAncestor(_) => {
            let is_there = !forced.swap(false, Ordering::Relaxed);
            Some(Box::pin(async move { Ok(json!(is_there)) }))
        }
        _ => None,
    });
    let begun = stage.follows("main").await;
    assert!(begun.message.starts_with("build 1 begins"), "{begun:?}");
    comes_to(&stage, 1, BuildState::Testing).await;
    // A push that only adds to the branch leaves it at work.
    stage.says("", &tables("check-all"));
    stage.fake.push("main", &commit('1'), 0);
    let begun = stage.follows("main").await;
    assert!(begun.message.starts_with("build 2 begins"), "{begun:?}");
    comes_to(&stage, 1, BuildState::Testing).await;
    is_forced.store(true, Ordering::Relaxed);
    stage.fake.push("main", &commit('2'), 0);
    let told = stage.fetch().await.unwrap();
    let told: Vec<_> = told.iter().map(|told| told.message.as_str()).collect();
    let cancelled = "build 1 is cancelled: its commit is not on the branch any more";
    assert!(told.contains(&cancelled), "{told:?}");
    let build = comes_to(&stage, 1, BuildState::Superseded).await;
    assert_eq!(build.superseded_by, Some(2));

    // With the branch goes what waits of it.
    comes_to(&stage, 2, BuildState::Testing).await;
    stage.says("", &tables("check-other"));
    stage.fake.push("other", &commit('3'), 0);
    let begun = stage.follows("other").await;
    assert!(begun.message.starts_with("build 3 begins"), "{begun:?}");
    stage.fake.remove_branch("other");
    let told = stage.follows("other").await;
    assert!(told.message.starts_with("build 3 is cancelled"), "{told:?}");
    let build = comes_to(&stage, 3, BuildState::Error).await;
    assert_eq!(build.superseded_by, None);
    comes_to(&stage, 2, BuildState::Testing).await;
}

/// It would fail again: only what a lost network may have done is tried once more.
#[tokio::test]
async fn a_pushed_build_whose_own_command_fails_is_not_made_again() {
    let stage = Stage::new();
    stage.says("", "[app]\nbuild = [[\"compile\"]]\n");
    stage.fake.answer(|request| match request {
        Request::RunCommand(ask) if ask.command[0] == "compile" => {
            Some(Box::pin(async { Ok(json!({ "status": 3 })) }))
        }
        _ => None,
    });
    let again = async || stage.cid.store.projects_to_build_again().await.unwrap();
    stage.follows("main").await;
    stage.cid.engine.idle().await;
    comes_to(&stage, 1, BuildState::Error).await;
    assert!(again().await.is_empty());
    // A helper that dies says nothing about the commit.
    stage.says("", "[app]\nbuild = [[\"compile\", \"all\"]]\n");
    stage.fake.answer(|request| match request {
        Request::RunCommand(_) => Some(Box::pin(async { Err(Fault::new("cannot go on")) })),
        _ => None,
    });
    stage.fake.push("main", &commit('1'), 0);
    stage.follows("main").await;
    stage.cid.engine.idle().await;
    comes_to(&stage, 2, BuildState::Error).await;
}
