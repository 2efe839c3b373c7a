//! Steps whose calls are noted, and that misbehave if a test says so.

use super::super::{AnyStep, Cx, Planned};
use crate::engine::UnknownStep;
use crate::{config::Limits, step, store::Store};
use async_trait::async_trait;
use cid_protocol::fault::Fault;
use futures::FutureExt as _;
use serde_json::Value;
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};
use uuid::Uuid;

/// How a step is made to misbehave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    FailObserve,
    FailApply,
    FailAfterApply,
    ApplyTwice,
    /// Fails after apply, and everything is taken back twice.
    UndoTwice,
    /// Goes on after apply until it is stopped.
    Endless,
    /// Fails after apply, and so do so many of its undos.
    FailUndo(usize),
    /// Fails after apply, and its undo goes on until it is stopped.
    EndlessUndo,
    /// Fails after apply, saying this everywhere it can.
    Say(&'static str),
}

/// Those after which a job is Done or Undone.
pub(super) const WAYS: [Way; 5] = [
    Way::FailObserve,
    Way::FailApply,
    Way::FailAfterApply,
    Way::ApplyTwice,
    Way::UndoTwice,
];

/// A part of a step that was called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Observe,
    Apply,
    Undo,
    Finish,
}

/// A call of a step.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) job: Uuid,
    pub(super) part: Part,
    pub(super) kind: String,
}

thread_local! {
    /// KINDs of steps that misbehave, and how. Tests are single-threaded inside.
    static FAULTS: RefCell<Vec<(String, Way)>> = const { RefCell::new(Vec::new()) };
    /// Every call, in order.
    static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
    /// Steps that were applied too early.
    static EARLY: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// From now on these steps misbehave, and no others; holds for steps that are decoded from then on.
pub(super) fn misbehave(faults: &[(&str, Way)]) {
    let owned = faults.iter().map(|(kind, way)| ((*kind).to_owned(), *way));
    FAULTS.set(owned.collect());
}

/// The calls that a job's steps had, in order.
pub(super) fn calls(job: Uuid) -> Vec<Call> {
    CALLS.with_borrow(|all| all.iter().filter(|call| call.job == job).cloned().collect())
}

/// The job that was the first to call this part of this step.
pub(super) fn first(part: Part, kind: &str) -> Option<Uuid> {
    CALLS.with_borrow(|all| {
        let mut calls = all.iter();
        let found = calls.find(|call| call.part == part && call.kind == kind);
        found.map(|call| call.job)
    })
}

/// Steps that were applied before their begin was on disk.
pub(super) fn early() -> Vec<String> {
    EARLY.with_borrow(Clone::clone)
}

struct Watched {
    step: Box<dyn AnyStep>,
    kind: String,
    way: Option<Way>,
    undo_twice: bool,
    /// Whether the ledger has had time to write since the step was observed.
    may_apply: Arc<AtomicBool>,
}

/// What engines of tests decode steps with.
pub(super) fn decode(planned: &Planned) -> Result<Box<dyn AnyStep>, UnknownStep> {
    let step = step::decode(planned)?;
    let faults = FAULTS.with_borrow(Clone::clone);
    let way = faults.iter().find(|(kind, _)| *kind == planned.kind);
    Ok(Box::new(Watched {
        step,
        kind: planned.kind.clone(),
        way: way.map(|(_, way)| *way),
        undo_twice: faults.iter().any(|(_, way)| *way == Way::UndoTwice),
        may_apply: Arc::new(AtomicBool::new(true)),
    }))
}

impl Watched {
    fn note(&self, part: Part, cx: &Cx) {
        let (job, kind) = (cx.job(), self.kind.clone());
        CALLS.with_borrow_mut(|all| all.push(Call { job, part, kind }));
    }

    fn undos(&self, cx: &Cx) -> usize {
        let calls = calls(cx.job());
        let own = calls.iter().filter(|call| call.kind == self.kind);
        own.filter(|call| call.part == Part::Undo).count()
    }
}

/// Keeps the ledger busy until all has happened that does not wait for it; then sets the flag.
fn keep_busy(store: &Store, flag: Arc<AtomicBool>) {
    let (free, is_free) = mpsc::channel::<()>();
    let store = store.clone();
    let mut busy = Box::pin(async move {
        let waiting = store.read(move |_| {
            let _ = is_free.recv();
            Ok(())
        });
        waiting.await
    });
    // Before anything that is written from now on.
    assert!((&mut busy).now_or_never().is_none());
    tokio::spawn(async move {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        flag.store(true, Ordering::SeqCst);
        drop(free);
        busy.await
    });
}

#[async_trait]
impl AnyStep for Watched {
    fn fills_disk(&self) -> bool {
        self.step.fills_disk()
    }
    fn has_undo(&self) -> bool {
        self.step.has_undo()
    }
    fn has_finish(&self) -> bool {
        self.step.has_finish()
    }
    fn ends_cancelling(&self) -> bool {
        self.step.ends_cancelling()
    }
    fn limit(&self, limits: &Limits) -> Duration {
        self.step.limit(limits)
    }
    async fn observe(&self, cx: &Cx) -> Result<Value, Fault> {
        self.note(Part::Observe, cx);
        if self.way == Some(Way::FailObserve) {
            return Err(Fault::new("cannot observe: the test says so"));
        }
        let before = self.step.observe(cx).await?;
        if self.has_undo() {
            self.may_apply.store(false, Ordering::SeqCst);
            keep_busy(cx.store(), Arc::clone(&self.may_apply));
        }
        Ok(before)
    }
    async fn apply(&self, before: &Value, cx: &Cx) -> Result<Value, Fault> {
        self.note(Part::Apply, cx);
        if !self.may_apply.load(Ordering::SeqCst) {
            EARLY.with_borrow_mut(|all| all.push(self.kind.clone()));
        }
        if self.way == Some(Way::FailApply) {
            return Err(Fault::new("cannot apply: the test says so"));
        }
        let output = self.step.apply(before, cx).await?;
        match self.way {
            Some(Way::FailAfterApply | Way::UndoTwice | Way::FailUndo(_) | Way::EndlessUndo) => {
                Err(Fault::new("cannot go on: the test says so"))
            }
            Some(Way::ApplyTwice) => self.step.apply(before, cx).await,
            Some(Way::Endless) => {
                cx.cancel.cancelled().await;
                Err(Fault::cancelled())
            }
            Some(Way::Say(text)) => {
                cx.line(format!("line {text}")).await;
                cx.note(format!("note {text}"));
                Err(Fault::new(format!("cannot go on: {text}")).hint(format!("look at {text}")))
            }
            Some(Way::FailObserve | Way::FailApply) | None => Ok(output),
        }
    }
    async fn undo(&self, before: &Value, cx: &Cx) -> Result<(), Fault> {
        self.note(Part::Undo, cx);
        match self.way {
            Some(Way::FailUndo(times)) if self.undos(cx) <= times => {
                return Err(Fault::new("cannot undo: the test says so"));
            }
            Some(Way::EndlessUndo) => {
                cx.cancel.cancelled().await;
                return Err(Fault::cancelled());
            }
            Some(Way::Say(text)) => {
                cx.note(format!("note {text}"));
                return Err(Fault::new(format!("cannot undo: {text}")));
            }
            _ => {}
        }
        if self.undo_twice {
            self.step.undo(before, cx).await?;
        }
        self.step.undo(before, cx).await
    }
    async fn finish(&self, before: &Value, cx: &Cx) -> Result<(), Fault> {
        self.note(Part::Finish, cx);
        self.step.finish(before, cx).await?;
        self.step.finish(before, cx).await
    }
}
