//! A daemon that dies at any point.

use super::{
    super::{NoHooks, Point},
    HoldAt, Kind, Stage, Trace, Way, assert_no_trace, kinds_of, misbehave, try_each,
};
use crate::domain::JobState;
use std::sync::Arc;

/// The points that a job passes, forward and, where a step fails, back.
async fn points_of(kind: Kind, failing: &[(&str, Way)]) -> Vec<Point> {
    let stage = Stage::ready_for(kind).await;
    misbehave(failing);
    let trace = Arc::new(Trace::default());
    let engine = stage.engine(trace.clone());
    let job = stage.submit(&engine, kind).await;
    stage.ended(&engine, job).await;
    trace.points()
}

#[test]
fn a_crash_at_any_journal_boundary_ends_done_or_without_a_trace() {
    try_each(async |kind| {
        let last = kinds_of(kind).await.pop().unwrap();
        for failing in [&[][..], &[(last.as_str(), Way::FailAfterApply)]] {
            for point in points_of(kind, failing).await {
                let what = format!("{kind:?} {point:?} failing {failing:?}");
                let stage = Stage::ready_for(kind).await;
                let before = stage.snapshot().await;
                misbehave(failing);
                let killed = HoldAt::at_point(point);
                let engine = stage.engine(killed.clone());
                let job = stage.submit(&engine, kind).await;
                killed.reached().await;
                // The one that hangs is as good as dead; the next one knows only the ledger.
                let next = stage.engine(Arc::new(NoHooks));
                next.recover().await.unwrap();
                let state = stage.ended(&next, job).await;
                if failing.is_empty() {
                    assert_eq!(state, JobState::Done, "{what}");
                } else {
                    assert_eq!(state, JobState::Undone, "{what}");
                    assert_no_trace(&before, &stage.snapshot().await, &what);
                }
            }
        }
    });
}
