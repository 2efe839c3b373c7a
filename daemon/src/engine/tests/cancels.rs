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
use std::sync::Arc;

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
