//! A job that is cancelled, and a daemon that goes down.

use super::{
    super::{NoHooks, Phase, Step as _},
    HoldAt, Kind, Stage, Way, assert_no_trace, kinds_of, misbehave,
    watched::{Part, calls},
};
use crate::{
    authz::Permit,
    domain::JobState,
    step::{MakeDirectory, PUSH_BRANCH, Publish, RecordMade, Release},
};
use cid_protocol::request::{Purged, Request};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Notify;

#[tokio::test]
async fn a_job_that_is_cancelled_anywhere_begins_nothing_more_and_leaves_nothing() {
    for step in kinds_of(Kind::Create).await {
        for phase in [Phase::Observed, Phase::AppliedUnwritten] {
            let what = format!("{step} {phase:?}");
            let stage = Stage::new();
            let before = stage.snapshot().await;
            let held = HoldAt::new(&step, phase);
            let engine = stage.engine(held.clone());
            let job = stage.submit(&engine, Kind::Create).await;
            held.reached().await;
            let observed = || {
                let calls = calls(job);
                calls.iter().filter(|c| c.part == Part::Observe).count()
            };
            let begun = observed();
            engine.cancel(Permit::for_tests(), job).await.unwrap();
            held.go_on();
            assert_eq!(
                stage.ended(&engine, job).await,
                JobState::Cancelled,
                "{what}"
            );
            assert_eq!(observed(), begun, "{what}");
            assert_eq!(stage.failure(job).await.message, "cancelled", "{what}");
            assert_no_trace(&before, &stage.snapshot().await, &what);
        }
    }
}

#[tokio::test]
async fn a_delete_that_throws_things_away_already_cannot_be_cancelled_and_ends() {
    let stage = Stage::new();
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let words = (Arc::clone(&begun), Arc::clone(&go_on));
    stage.fake.answer(move |request| match request {
        Request::Purge(_) => {
            let (begun, go_on) = (Arc::clone(&words.0), Arc::clone(&words.1));
            Some(Box::pin(async move {
                begun.notify_one();
                go_on.notified().await;
                go_on.notify_one();
                Ok(json!(Purged { removed: 1 }))
            }))
        }
        _ => None,
    });
    let engine = stage.engine(Arc::new(NoHooks));
    let job = stage.submit(&engine, Kind::Delete).await;
    begun.notified().await;
    let refused = engine.cancel(Permit::for_tests(), job).await.unwrap_err();
    assert!(refused.to_string().contains("it is ending"), "{refused}");
    go_on.notify_one();
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);
}

#[tokio::test]
async fn a_daemon_that_goes_down_leaves_its_jobs_to_the_next_one() {
    let endless = [
        (
            MakeDirectory::KIND,
            Way::Endless,
            JobState::Running,
            JobState::Done,
        ),
        (
            Release::KIND,
            Way::Endless,
            JobState::Running,
            JobState::Done,
        ),
        (
            PUSH_BRANCH,
            Way::EndlessUndo,
            JobState::Undoing,
            JobState::Undone,
        ),
    ];
    for (step, way, left, end) in endless {
        let stage = Stage::new();
        misbehave(&[(step, way)]);
        let part = match way {
            Way::Endless => Part::Apply,
            _ => Part::Undo,
        };
        let engine = stage.engine(Arc::new(NoHooks));
        let job = stage.submit(&engine, Kind::Create).await;
        while !calls(job).iter().any(|c| c.kind == step && c.part == part) {
            tokio::task::yield_now().await;
        }
        engine.stop().await;
        let row = stage.store.job(job).await.unwrap().unwrap();
        assert_eq!(row.state, left, "{step}");
        assert_eq!(row.failure.is_some(), left == JobState::Undoing, "{step}");
        let begun = calls(job).len();
        // Between two steps as well: what it is told to stop with has no journal to go on with.
        engine.recover().await.unwrap();
        assert_eq!(calls(job).len(), begun, "{step}");

        misbehave(&[]);
        let next = stage.engine(Arc::new(NoHooks));
        next.recover().await.unwrap();
        assert_eq!(stage.ended(&next, job).await, end, "{step}");
    }
}

#[tokio::test]
async fn a_daemon_that_goes_down_between_two_steps_begins_no_other() {
    for step in [MakeDirectory::KIND, Publish::KIND, RecordMade::KIND] {
        let stage = Stage::new();
        let held = HoldAt::new(step, Phase::AppliedUnwritten);
        let engine = stage.engine(held.clone());
        let job = stage.submit(&engine, Kind::Create).await;
        held.reached().await;
        let begun = calls(job).len();
        let (stopping, ()) = tokio::join!(engine.stop(), async {
            tokio::task::yield_now().await;
            held.go_on();
        });
        let () = stopping;
        assert_eq!(calls(job).len(), begun, "{step}");
        let row = stage.store.job(job).await.unwrap().unwrap();
        assert_eq!(
            (row.state, row.failure),
            (JobState::Running, None),
            "{step}"
        );
        let next = stage.engine(Arc::new(NoHooks));
        next.recover().await.unwrap();
        assert_eq!(stage.ended(&next, job).await, JobState::Done, "{step}");
    }
}
