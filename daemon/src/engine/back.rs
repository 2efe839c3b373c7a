//! The way back, and the end: steps are undone or finished, with retries.

use super::{
    Phase,
    journal::{Halt, millis},
    run::Runner,
    work::within,
};
use crate::domain::{
    JobState,
    event::{StepState, What},
};
use cid_protocol::fault::Fault;
use std::time::{Duration, Instant};

/// How often undo and finish are tried before the job is stuck.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// What is done to a step after its apply.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Undo,
    Finish,
}

impl Runner {
    /// Undoes every observed step, last first.
    pub(super) async fn back(&mut self) -> Result<(), Halt> {
        self.work.ensure_room();
        self.journal.flush().await?;
        self.end_helpers().await;
        // A job that is being undone can no longer be cancelled, only stopped with the daemon.
        self.cancel = self.work.inner.stopping.child_token();
        for index in (0..self.work.steps.len()).rev() {
            if matches!(
                self.journal.progress.steps[index],
                StepState::Planned | StepState::Undone
            ) {
                continue;
            }
            self.journal.record(What::Undoing { step: index })?;
            self.journal.flush().await?;
            self.work.at(index, Phase::Undoing).await;
            let begin = Instant::now();
            let undone = self.attempt(index, Part::Undo).await?;
            self.work.at(index, Phase::UndoneUnwritten).await;
            match undone {
                Ok(()) => self.journal.record(What::Undone {
                    step: index,
                    took_ms: millis(begin),
                })?,
                Err(fault) => return self.stuck(index, &fault).await,
            }
        }
        let failure = self.journal.progress.failure.as_ref();
        let state = match failure.is_some_and(|failure| failure.cancelled) {
            true => JobState::Cancelled,
            false => JobState::Undone,
        };
        self.complete(state).await
    }

    /// Undoes or finishes a step, with retries.
    pub(super) async fn attempt(
        &mut self,
        index: usize,
        part: Part,
    ) -> Result<Result<(), Fault>, Halt> {
        let before = self.journal.progress.befores[index]
            .clone()
            .unwrap_or_default();
        let mut tries = 0;
        loop {
            tries += 1;
            let cancel = self.cancel.clone();
            let running = self
                .work
                .running(index, &self.journal.progress, cancel)
                .await;
            let (step, cx) = (&self.work.steps[index], &running.cx);
            let result = match part {
                Part::Undo => within(cx, step.undo(&before, cx)).await,
                Part::Finish => within(cx, step.finish(&before, cx)).await,
            };
            self.journal.end_log(running).await?;
            match result {
                Err(_) if self.is_stopping() => return Err(Halt::Stopping),
                Err(fault) if tries < TRIES => {
                    let row = &self.work.row;
                    tracing::warn!(job = %row.id, project = %row.project, workspace = row.about.logged_workspace(), build = row.about.logged_build(), "trying again: {fault}");
                    self.end_helpers().await;
                    tokio::time::sleep(PAUSE * tries).await;
                }
                result => return Ok(result),
            }
        }
    }

    /// Helpers of the job that still run must not run beside what comes now.
    async fn end_helpers(&self) {
        let row = &self.work.row;
        if let Err(fault) = self.work.inner.sys.helpers.end(row.id).await {
            tracing::error!(job = %row.id, project = %row.project, workspace = row.about.logged_workspace(), build = row.about.logged_build(), "{fault}");
        }
    }
}
