//! What people do in a workspace while it is made is theirs, also when the creation is taken back.

use super::{
    super::{NoHooks, Phase, Step as _},
    HoldAt, Kind, Stage, Trace, Way, misbehave,
};
use crate::{
    authz::Permit,
    domain::{JobState, event::What},
    step::{MakeDirectory, PUSH_BRANCH},
};
use cid_kernel::fs;
use cid_protocol::request::{RepositoryWork, WorkReport};
use std::{path::PathBuf, sync::Arc};
use uuid::Uuid;

/// A machine on which somebody commits in each clone.
fn stage() -> Stage {
    let stage = Stage::new();
    let commits = RepositoryWork {
        path: "src".into(),
        unpushed: ["0123456 Look why"].into_iter().collect(),
        ..RepositoryWork::default()
    };
    stage.fake.work_meanwhile(WorkReport {
        repositories: vec![commits],
        ..WorkReport::default()
    });
    stage
}

/// The one kept folder, of which the job must have told, and without which nothing is left.
async fn kept(stage: &Stage, job: Uuid, before: &str, what: &str) -> PathBuf {
    let folder = stage.layout.work_root.join("demo/.kept");
    let names = fs::names(&folder).unwrap();
    assert_eq!(names.len(), 1, "{what}: {names:?}");
    let kept = folder.join(&names[0]);
    assert_eq!(fs::names(&kept).unwrap(), ["home", "src"], "{what}");
    let events = stage.store.events(job, 0, usize::MAX).await.unwrap();
    let path = kept.to_str().unwrap();
    let is_told = |text: &str| text.contains(path) && text.contains("Look why");
    let kept_event = |what: &What| matches!(what, What::Kept { text, .. } if is_told(text));
    assert!(events.iter().any(|e| kept_event(&e.what)), "{what}");
    let failure = stage.failure(job).await.message;
    assert!(is_told(&failure), "{what}: {failure}");
    assert_eq!(failure.matches(path).count(), 2, "{what}: {failure}");
    let after = stage.snapshot().await;
    let left = after.lines().filter(|line| !line.contains(path));
    let before: Vec<&str> = before.lines().collect();
    assert_eq!(left.collect::<Vec<_>>(), before, "{what}");
    kept
}

#[tokio::test]
async fn work_in_the_clone_of_a_creation_that_fails_or_is_cancelled_is_kept() {
    for is_cancelled in [false, true] {
        let what = format!("cancelled: {is_cancelled}");
        let stage = stage();
        let before = stage.snapshot().await;
        if !is_cancelled {
            misbehave(&[(PUSH_BRANCH, Way::UndoTwice)]);
        }
        let held = HoldAt::new(PUSH_BRANCH, Phase::Observed);
        let engine = stage.engine(held.clone());
        let job = stage.submit(&engine, Kind::Create).await;
        held.reached().await;
        if is_cancelled {
            engine.cancel(Permit::for_tests(), job).await.unwrap();
        }
        held.go_on();
        let state = stage.ended(&engine, job).await;
        assert_ne!(state, JobState::Stuck, "{what}");
        kept(&stage, job, &before, &what).await;
        // The name is free.
        misbehave(&[]);
        assert_eq!(stage.run(Kind::Create).await.1, JobState::Done, "{what}");
    }
}

#[tokio::test]
async fn half_a_creation_has_nothing_to_keep() {
    let stage = stage();
    misbehave(&[(MakeDirectory::KIND, Way::FailAfterApply)]);
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Undone);
    let folder = stage.layout.work_root.join("demo/.kept");
    assert!(fs::names(&folder).unwrap().is_empty());
}

#[tokio::test]
async fn a_crash_at_any_boundary_of_the_way_back_keeps_it() {
    let failing = [(PUSH_BRANCH, Way::FailAfterApply)];
    let points = {
        let stage = stage();
        misbehave(&failing);
        let trace = Arc::new(Trace::default());
        let engine = stage.engine(trace.clone());
        let job = stage.submit(&engine, Kind::Create).await;
        stage.ended(&engine, job).await;
        trace.points()
    };
    for point in points {
        let what = format!("{point:?}");
        let stage = stage();
        let before = stage.snapshot().await;
        misbehave(&failing);
        let killed = HoldAt::at_point(point);
        let engine = stage.engine(killed.clone());
        let job = stage.submit(&engine, Kind::Create).await;
        killed.reached().await;
        let next = stage.engine(Arc::new(NoHooks));
        next.recover().await.unwrap();
        assert_eq!(stage.ended(&next, job).await, JobState::Undone, "{what}");
        kept(&stage, job, &before, &what).await;
    }
}
