//! Jobs that end with debts, get stuck, or never begin.

use super::{
    super::{NoHooks, Phase, Plan, Planned, Step, Submission},
    HoldAt, Kind, Stage, Way, assert_no_trace, kinds, kinds_of, misbehave,
    watched::{Part, calls},
};
use crate::{
    authz::Permit,
    domain::{JobKind, JobState, WorkspaceState, event::What},
    step,
    store::Subject,
};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

#[tokio::test]
async fn a_delete_that_is_done_leaves_what_was_before_the_create() {
    let stage = Stage::new();
    let before = stage.snapshot().await;
    for kind in [Kind::Create, Kind::DEPLOY, Kind::DeleteWithBranch] {
        assert_eq!(stage.run(kind).await.1, JobState::Done);
    }
    assert_no_trace(&before, &stage.snapshot().await, "create and delete");
}

#[tokio::test]
async fn engines_that_are_down_are_owed_and_do_not_stop_a_delete() {
    let stage = Stage::ready_for(Kind::Delete).await;
    for engine in ["nginx", "supervisor"] {
        stage.fake.break_down(engine);
    }
    let (_, state) = stage.run(Kind::Delete).await;
    assert_eq!(state, JobState::Done);
    assert_eq!(stage.store.owed().await.unwrap().len(), 2);
    // Until nginx has reloaded, the port's next owner would answer under the old name.
    assert_eq!(stage.store.ports().await.unwrap().len(), 1);
    stage
        .store
        .settle(
            stage
                .store
                .owed()
                .await
                .unwrap()
                .iter()
                .map(|owed| owed.id)
                .collect(),
        )
        .await
        .unwrap();
    assert!(stage.store.ports().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_branch_that_cannot_be_taken_back_is_owed() {
    let stage = Stage::new();
    misbehave(&[(step::PUSH_BRANCH, Way::FailAfterApply)]);
    let killed = HoldAt::new(step::PUSH_BRANCH, Phase::Undoing);
    let engine = stage.engine(killed.clone());
    let job = stage.submit(&engine, Kind::Create).await;
    killed.reached().await;
    stage.fake.break_down("git");
    let next = stage.engine(Arc::new(NoHooks));
    next.recover().await.unwrap();
    assert_eq!(stage.ended(&next, job).await, JobState::Undone);
    let owed = stage.store.owed().await.unwrap();
    assert_eq!(owed.len(), 1);
    assert!(
        owed[0].debt.to_string().contains("anna---example-com"),
        "{}",
        owed[0].debt
    );
}

#[tokio::test]
async fn one_live_job_per_workspace_and_one_workspace_per_address() {
    let stage = Stage::new();
    let held = HoldAt::new(step::PUSH_BRANCH, Phase::Observed);
    let engine = stage.engine(held.clone());
    let job = stage.submit(&engine, Kind::Create).await;
    held.reached().await;
    let row = stage.store.job(job).await.unwrap().unwrap();
    assert_eq!(
        stage
            .store
            .live_job(row.about.workspace())
            .await
            .unwrap()
            .unwrap()
            .id,
        job
    );
    let workspace = stage
        .store
        .workspace(row.about.workspace())
        .await
        .unwrap()
        .unwrap();
    let submission = Submission {
        build: None,
        kind: JobKind::Delete,
        subject: Subject::Existing(Box::new(workspace), WorkspaceState::Deleting),
        plan: Box::new(|_| Plan::new(JobKind::Delete)),
    };
    let refused = engine
        .submit(Permit::for_tests(), submission)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, crate::error::Error::JobInTheWay { job: other, .. } if other == job),
        "{refused}"
    );
}

#[tokio::test]
async fn a_step_that_cannot_be_taken_back_is_stuck_until_retried() {
    let stage = Stage::new();
    let before = stage.snapshot().await;
    misbehave(&[(step::PUSH_BRANCH, Way::FailUndo(3))]);
    let engine = stage.engine(Arc::new(NoHooks));
    let job = stage.submit(&engine, Kind::Create).await;
    assert_eq!(stage.ended(&engine, job).await, JobState::Stuck);
    let workspace = stage.store.workspaces(None, 0, 1).await.unwrap().remove(0);
    assert_eq!(workspace.state, WorkspaceState::Failed);
    engine.retry(Permit::for_tests(), job).await.unwrap();
    assert_eq!(stage.ended(&engine, job).await, JobState::Undone);
    assert_no_trace(&before, &stage.snapshot().await, "a retried job");
}

#[tokio::test]
async fn an_undo_that_fails_is_tried_again_and_not_for_ever() {
    for (failures, tries, state) in [(2, 3, JobState::Undone), (3, 3, JobState::Stuck)] {
        let stage = Stage::new();
        let before = stage.snapshot().await;
        misbehave(&[(step::PUSH_BRANCH, Way::FailUndo(failures))]);
        let engine = stage.engine(Arc::new(NoHooks));
        let job = stage.submit(&engine, Kind::Create).await;
        assert_eq!(stage.ended(&engine, job).await, state, "{failures}");
        let undos = || {
            let calls = calls(job);
            let undos = calls.iter().filter(|call| call.part == Part::Undo);
            undos.filter(|call| call.kind == step::PUSH_BRANCH).count()
        };
        assert_eq!(undos(), tries);
        if state == JobState::Stuck {
            engine.retry(Permit::for_tests(), job).await.unwrap();
            assert_eq!(stage.ended(&engine, job).await, JobState::Undone);
        }
        assert_no_trace(&before, &stage.snapshot().await, "undone at last");
    }
}

/// A value of the project's that nobody who looks at a job may see.
const SECRET: &str = "correct-horse";

#[tokio::test]
async fn nothing_that_is_told_of_a_job_holds_a_secret() {
    let stage = Stage::with(&format!("[env]\nAPI_TOKEN = \"{SECRET}\"\n"));
    misbehave(&[(step::PUSH_BRANCH, Way::Say(SECRET))]);
    let (job, state) = stage.run(Kind::Create).await;
    assert_eq!(state, JobState::Stuck);
    let failure = stage.failure(job).await;
    assert_eq!(failure.message, "cannot go on: ***");
    assert_eq!(failure.hint.unwrap(), "look at ***");
    assert_eq!(failure.output, ["line ***"]);
    let events = stage.store.events(job, 0, usize::MAX).await.unwrap();
    let said = |what: &What| {
        matches!(
            what,
            What::Failed { .. } | What::Stuck { .. } | What::Note { .. } | What::Output { .. }
        )
    };
    let told: Vec<&What> = events
        .iter()
        .map(|e| &e.what)
        .filter(|what| said(what))
        .collect();
    // Its line, its failure, what its undo came to, and a note each time.
    assert!(told.len() >= 6, "{told:?}");
    let all = format!("{events:?}");
    assert!(!all.contains(SECRET), "{told:?}");
}

#[tokio::test]
async fn a_step_of_an_unknown_kind_makes_the_job_stuck() {
    let stage = Stage::ready_for(Kind::Delete).await;
    let workspace = stage.store.workspaces(None, 0, 1).await.unwrap().remove(0);
    let engine = stage.engine(Arc::new(NoHooks));
    let unknown = Planned {
        kind: "levitate.v9".into(),
        label: "levitate".into(),
        parameters: Value::Null,
        beside: false,
    };
    let submission = Submission {
        build: None,
        kind: JobKind::Delete,
        subject: Subject::Existing(Box::new(workspace), WorkspaceState::Deleting),
        plan: Box::new(move |_| Plan {
            kind: JobKind::Delete,
            steps: vec![unknown],
        }),
    };
    let (_, job) = engine
        .submit(Permit::for_tests(), submission)
        .await
        .unwrap();
    assert_eq!(stage.ended(&engine, job).await, JobState::Stuck);
    let notes = stage.store.events(job, 0, usize::MAX).await.unwrap();
    assert!(
        notes
            .iter()
            .any(|e| matches!(&e.what, What::Note { text, .. } if text.contains("levitate.v9")))
    );
}

#[tokio::test]
async fn every_registered_step_is_in_a_plan_that_is_tested() {
    let mut tested = BTreeSet::new();
    for kind in kinds() {
        tested.extend(kinds_of(kind).await);
    }
    // No nginx sees the made-up host's folders: it is tried end to end, and has nothing to undo.
    tested.insert(<step::CollectStatic as Step>::KIND.to_owned());
    let registered: BTreeSet<_> = step::REGISTRY
        .iter()
        .map(|entry| entry.kind.to_owned())
        .collect();
    assert_eq!(registered, tested);
}
