//! Where tests may observe the engine, or end the process. The shipped daemon uses [`NoHooks`].

use async_trait::async_trait;

/// A point between two actions of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// KIND of the step; empty for the job as a whole.
    pub step: String,
    /// Where in its life.
    pub phase: Phase,
}

/// Where in a step's or job's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `Before` is on disk, `apply` has not begun.
    Observed,
    /// `apply` has ended, the journal does not know it.
    AppliedUnwritten,
    /// `Undoing` is on disk, `undo` has not begun.
    Undoing,
    /// `undo` has ended, the journal does not know it.
    UndoneUnwritten,
    /// Every step has finished, the job's end is not written.
    Finished,
    /// The job's end is on disk.
    Ended,
}

impl Phase {
    /// All of them, for tests that enumerate points.
    pub const ALL: [Self; 6] = [
        Self::Observed,
        Self::AppliedUnwritten,
        Self::Undoing,
        Self::UndoneUnwritten,
        Self::Finished,
        Self::Ended,
    ];
}

/// Observes the engine.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// The engine is at this point.
    async fn at(&self, point: Point);
}

/// Observes nothing.
pub struct NoHooks;

#[async_trait]
impl Hooks for NoHooks {
    async fn at(&self, _: Point) {}
}
