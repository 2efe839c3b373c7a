//! The way there: steps are observed and applied, together where the plan says so.

use super::{
    Phase,
    event::{StepState, What},
    journal::Halt,
    run::Runner,
    work::{Running, within},
};
use crate::system::Fault;
use futures::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use serde_json::Value;
use std::{ops::Range, pin::pin, time::Instant};
use tokio_util::sync::CancellationToken;

impl Runner {
    /// Observes (once) and applies steps that may run at the same time; one that fails stops the
    /// others and turns the job around.
    pub(super) async fn forward(&mut self, together: Range<usize>) -> Result<(), Halt> {
        let cancel = self.cancel.child_token();
        let next = together.end;
        let mut ready = Vec::with_capacity(together.len());
        for index in together {
            let state = self.journal.progress.steps[index];
            if !matches!(state, StepState::Planned | StepState::Observed) {
                continue;
            }
            let running = self
                .work
                .running(index, &self.journal.progress, cancel.clone());
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
        let coming = self.coming(next, &cancel);
        match self.apply(ready, coming, &cancel).await? {
            Some((running, fault)) => self.fail(running, fault).await,
            None => Ok(()),
        }
    }

    /// The steps from there on that can be prepared.
    fn coming(&self, next: usize, cancel: &CancellationToken) -> Vec<Running> {
        self.work
            .plan
            .together_with(next)
            .filter(|index| self.work.steps.get(*index).is_some_and(|s| s.has_prepare()))
            .map(|index| {
                let progress = &self.journal.progress;
                self.work.running(index, progress, cancel.clone())
            })
            .collect()
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

    /// Applies steps at the same time, prepares those that come then, and waits for all; gives the first
    /// that failed.
    async fn apply(
        &mut self,
        ready: Vec<Running>,
        coming: Vec<Running>,
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
                let applied = work.apply(&running, &before).await;
                (running, applied)
            })
            .collect();
        // Where there is nothing to take back, nothing is lost with lines that are not on disk yet.
        let (writer, lines) = (journal.writer.clone(), journal.take());
        let mut writing = pin!(async move { writer.write(lines).await });
        let mut preparing = pin!(join_all(coming.iter().map(|running| async {
            let step = &work.steps[running.index];
            if let Err(fault) = within(&running.cx, step.prepare(&running.cx)).await {
                tracing::debug!(job = %work.row.id, "not prepared: {fault}");
            }
        })));
        let (mut written, mut prepared) = (false, false);
        let mut failed = None;
        while !(written && prepared && applies.is_empty()) {
            let (running, applied) = tokio::select! {
                biased;
                result = &mut writing, if !written => {
                    result?;
                    written = true;
                    continue;
                }
                Some(ended) = applies.next() => ended,
                _ = &mut preparing, if !prepared => {
                    prepared = true;
                    continue;
                }
            };
            work.at(running.index, Phase::AppliedUnwritten).await;
            match applied.unwrap_or_else(|| (Err(Fault::cancelled()), Instant::now())) {
                (Ok(output), begin) => journal.applied(running, output, begin).await?,
                (Err(fault), _) if failed.is_none() => {
                    cancel.cancel();
                    failed = Some((running, fault));
                }
                // Stopped because of the first one.
                (Err(_), _) => {}
            }
            // Whoever watches sees it at once, not when the others have ended too.
            if written && !applies.is_empty() {
                journal.flush().await?;
            }
        }
        Ok(failed)
    }
}
