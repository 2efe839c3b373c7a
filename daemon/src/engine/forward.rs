//! The way there: steps are observed and applied, together where the plan says so.

use super::{
    Phase,
    journal::Halt,
    run::Runner,
    work::{Running, within},
};
use crate::domain::event::{StepState, What};
use cid_protocol::fault::Fault;
use futures::{StreamExt as _, stream::FuturesUnordered};
use serde_json::Value;
use std::{ops::Range, pin::pin, time::Instant};
use tokio_util::sync::CancellationToken;

impl Runner {
    /// Observes (once) and applies steps that may run at the same time; one that fails stops the
    /// others and turns the job around.
    pub(super) async fn forward(&mut self, together: Range<usize>) -> Result<(), Halt> {
        let cancel = self.cancel.child_token();
        let mut ready = Vec::with_capacity(together.len());
        for index in together {
            let state = self.journal.progress.steps[index];
            if !matches!(state, StepState::Planned | StepState::Observed) {
                continue;
            }
            let running = self
                .work
                // Its own, so that one can be stopped for what it does.
                .running(index, &self.journal.progress, cancel.child_token())
                .await;
            if let Err(fault) = self.observe(&running, state).await? {
                return self.fail(running, fault).await;
            }
            ready.push(running);
        }
        if ready.iter().any(|r| self.work.steps[r.index].has_undo()) {
            self.journal.flush().await?;
        }
        for running in &ready {
            self.work.at(running.index, Phase::Observed).await;
        }
        match self.apply(ready, &cancel).await? {
            Some((running, fault)) => self.fail(running, fault).await,
            None => Ok(()),
        }
    }

    async fn observe(
        &mut self,
        running: &Running,
        state: StepState,
    ) -> Result<Result<(), Fault>, Halt> {
        let Running { index, cx, .. } = running;
        if state == StepState::Planned {
            match within(cx, self.work.steps[*index].observe(cx)).await {
                Ok(before) => self.journal.record(What::Observed {
                    step: *index,
                    before,
                })?,
                Err(fault) => return Ok(Err(fault)),
            }
        }
        Ok(Ok(()))
    }

    /// Applies steps at the same time and waits for all; returns the first failure.
    async fn apply(
        &mut self,
        ready: Vec<Running>,
        cancel: &CancellationToken,
    ) -> Result<Option<(Running, Fault)>, Halt> {
        let Self { work, journal, .. } = self;
        let befores: Vec<Value> = ready
            .iter()
            .map(|r| {
                journal.progress.befores[r.index]
                    .clone()
                    .unwrap_or_default()
            })
            .collect();
        let work = &*work;
        let mut applies: FuturesUnordered<_> = ready
            .into_iter()
            .zip(befores)
            .map(|(running, before)| async move {
                let (begin, cx) = (Instant::now(), &running.cx);
                let part = within(cx, work.steps[running.index].apply(&before, cx));
                let applied = work.watched(running.index, cx, part).await;
                // Waiting for a turn is not running.
                let begin = begin + cx.who.waited();
                (running, begin, applied)
            })
            .collect();
        // A step with nothing to undo can run before its lines are on disk: losing them loses nothing.
        let (writer, lines) = (journal.writer.clone(), journal.take());
        let mut writing = pin!(async move { writer.write(lines).await });
        let mut written = false;
        let mut failed = None;
        while !(written && applies.is_empty()) {
            let (running, begin, applied) = tokio::select! {
                biased;
                result = &mut writing, if !written => {
                    result?;
                    written = true;
                    continue;
                }
                Some(ended) = applies.next() => ended,
            };
            work.at(running.index, Phase::AppliedUnwritten).await;
            match applied {
                Ok(output) => journal.applied(running, output, begin).await?,
                Err(fault) if failed.is_none() => {
                    cancel.cancel();
                    failed = Some((running, fault));
                }
                // Stopped because of the first one.
                Err(_) => {}
            }
            // So that watchers see it at once, not only when the others have ended.
            if written && !applies.is_empty() {
                journal.flush().await?;
            }
        }
        Ok(failed)
    }
}
