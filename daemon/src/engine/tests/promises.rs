//! What the engine promises of every job, by the calls that its steps had. Looked at whenever a test
//! has waited for a job's end.

use super::{
    super::Plan,
    watched::{Part, calls, early},
};
use crate::{
    domain::{JobState, event::What},
    store::Store,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Nothing was applied before its begin was on disk; what was observed was taken back, all of it and in
/// reverse order, if and only if the job was; finishing came last.
pub(super) async fn assert_kept(store: &Store, job: Uuid) {
    assert_eq!(early(), [""; 0], "applied before its begin was on disk");
    let row = store.job(job).await.unwrap().unwrap();
    let plan: Plan = serde_json::from_value(row.plan).unwrap();
    let place = |kind: &str| {
        let mut kinds = plan.steps.iter().map(|step| step.kind.as_str());
        kinds.position(|planned| planned == kind).unwrap()
    };
    let calls = calls(job);
    let is_there = |part: Part| matches!(part, Part::Observe | Part::Apply);
    let parts = || calls.iter().map(|call| call.part);
    let there_and_back = parts().skip_while(|part| is_there(*part));
    let after = there_and_back.skip_while(|part| *part == Part::Undo);
    assert!(
        after.into_iter().all(|part| part == Part::Finish),
        "out of order: {calls:?}"
    );
    let undone: Vec<usize> = calls
        .iter()
        .filter(|call| call.part == Part::Undo)
        .map(|call| place(&call.kind))
        .collect();
    assert!(
        undone.is_sorted_by(|one, next| one >= next),
        "not taken back in reverse order: {undone:?}"
    );
    let events = store.events(job, 0, usize::MAX).await.unwrap();
    let observed = events.iter().filter_map(|event| match &event.what {
        What::Observed { step, .. } => Some(*step),
        _ => None,
    });
    let to_undo: BTreeSet<usize> = match row.state {
        JobState::Undone | JobState::Cancelled => observed.collect(),
        JobState::Done => BTreeSet::new(),
        _ => return,
    };
    assert_eq!(undone.into_iter().collect::<BTreeSet<_>>(), to_undo);
}
