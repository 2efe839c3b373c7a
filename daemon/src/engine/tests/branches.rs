//! Branches on the remote, and work in a workspace, that a job must not lose.

use super::{
    super::{NoHooks, Phase},
    HoldAt, Kind, Stage, Way, assert_no_trace, misbehave,
};
use crate::{domain::JobState, step, system::fake::COMMIT};
use cid_protocol::request::{RepositoryWork, WorkReport};
use std::sync::Arc;

const BRANCH: &str = "anna---example-com";

#[tokio::test]
async fn somebody_elses_branch_outlives_a_create_that_is_taken_back() {
    let stage = Stage::new();
    // At the very commit that the create would have pushed.
    stage.fake.push(BRANCH, COMMIT, 0);
    let before = stage.snapshot().await;
    misbehave(&[(step::PUSH_BRANCH, Way::FailAfterApply)]);
    let (_, state) = stage.run(Kind::Create).await;
    assert_eq!(state, JobState::Undone);
    assert_eq!(stage.fake.branch(BRANCH).as_deref(), Some(COMMIT));
    assert_no_trace(&before, &stage.snapshot().await, "a create");
}

#[tokio::test]
async fn an_undo_that_is_interrupted_goes_on_and_owes_nothing() {
    let stage = Stage::new();
    let before = stage.snapshot().await;
    misbehave(&[(step::PUSH_BRANCH, Way::FailAfterApply)]);
    let killed = HoldAt::new(step::PUSH_BRANCH, Phase::Undoing);
    let engine = stage.engine(killed.clone());
    let job = stage.submit(&engine, Kind::Create).await;
    killed.reached().await;
    assert!(stage.fake.branch(BRANCH).is_some());
    stage.fake.interrupt("git");
    let next = stage.engine(Arc::new(NoHooks));
    next.recover().await.unwrap();
    assert_eq!(stage.ended(&next, job).await, JobState::Stuck);
    assert!(stage.store.owed().await.unwrap().is_empty());
    stage.fake.mend();
    next.retry(crate::authz::Permit::for_tests(), job)
        .await
        .unwrap();
    assert_eq!(stage.ended(&next, job).await, JobState::Undone);
    assert_no_trace(&before, &stage.snapshot().await, "a create");
}

#[tokio::test]
async fn a_branch_with_commits_of_its_own_goes_by_force_alone() {
    for (kind, ahead, state) in [
        (Kind::DeleteWithBranch, 0, JobState::Done),
        (Kind::DeleteWithBranch, 1, JobState::Undone),
        (Kind::DeleteByForce, 1, JobState::Done),
    ] {
        let stage = Stage::ready_for(kind).await;
        stage.fake.push(BRANCH, COMMIT, ahead);
        let (job, ended) = stage.run(kind).await;
        assert_eq!(ended, state, "{kind:?}, {ahead} ahead");
        let is_kept = stage.fake.branch(BRANCH).is_some();
        assert_eq!(is_kept, state == JobState::Undone, "{kind:?}");
        if is_kept {
            let failure = stage.failure(job).await;
            assert!(failure.hint.unwrap().contains("--force"));
        }
    }
}

#[tokio::test]
async fn work_made_while_a_delete_runs_takes_it_back() {
    let stage = Stage::ready_for(Kind::Delete).await;
    let before = stage.snapshot().await;
    let mut work = RepositoryWork {
        path: "src".into(),
        ..RepositoryWork::default()
    };
    work.uncommitted.push("draft.txt");
    let report = WorkReport {
        repositories: vec![work],
        ..WorkReport::default()
    };
    stage.fake.leave_work(report);
    let (job, state) = stage.run(Kind::Delete).await;
    assert_eq!(state, JobState::Undone);
    let message = stage.failure(job).await.message;
    assert!(message.ends_with("1 uncommitted file in src"), "{message}");
    stage.fake.leave_work(WorkReport::default());
    assert_no_trace(&before, &stage.snapshot().await, "a delete");
}
