//! A step that fails in any way.

use super::{
    super::Step as _, Kind, Stage, WAYS, Way, assert_no_trace, kinds_of, misbehave, try_each,
};
use crate::{
    domain::JobState,
    step::{Publish, Release},
};

#[test]
fn whatever_fails_is_taken_back() {
    try_each(async |kind| {
        for step in kinds_of(kind).await {
            for way in WAYS {
                let stage = Stage::ready_for(kind).await;
                let before = stage.snapshot().await;
                misbehave(&[(&step, way)]);
                let (_, state) = stage.run(kind).await;
                let what = format!("{kind:?} {step} {way:?}");
                if way == Way::ApplyTwice {
                    assert_eq!(state, JobState::Done, "{what}");
                } else {
                    assert_eq!(state, JobState::Undone, "{what}");
                    assert_no_trace(&before, &stage.snapshot().await, &what);
                }
            }
        }
    });
}

#[tokio::test]
async fn a_step_that_fails_stops_those_beside_it_and_takes_the_blame() {
    let stage = Stage::new();
    let before = stage.snapshot().await;
    misbehave(&[
        (Release::KIND, Way::Endless),
        (Publish::KIND, Way::FailAfterApply),
    ]);
    let (job, state) = stage.run(Kind::Create).await;
    assert_eq!(state, JobState::Undone);
    let failure = stage.failure(job).await.message;
    assert!(failure.contains("the test says so"), "{failure}");
    assert_no_trace(&before, &stage.snapshot().await, "steps that ran together");
}
