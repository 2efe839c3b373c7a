//! A job's journal as its runner holds it: where the job stands, and what is not on disk yet.

use super::{Inner, output::Ended, work::Running};
use crate::{
    domain::{
        About, ProjectName,
        event::{Impossible, Progress, What},
    },
    store::{JobRow, Store, StoreError},
};
use serde_json::Value;
use std::{
    mem,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long to wait before the ledger is tried again.
const LEDGER_PAUSE: Duration = Duration::from_millis(500);

/// Why a job is left as it is, for the next daemon.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    #[error("the daemon is going down")]
    Stopping,
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] Impossible),
}

/// A job's journal.
pub(super) struct Journal {
    pub(super) progress: Progress,
    /// Lines that go to disk with the next flush.
    pending: Vec<What>,
    pub(super) writer: Writer,
}

impl Journal {
    /// Reads what is on disk.
    pub(super) async fn read(
        inner: &Inner,
        job: &JobRow,
        steps: usize,
        seq: watch::Sender<u64>,
    ) -> Result<Self, Halt> {
        let mut progress = Progress::new(steps);
        for event in inner.store.milestones(job.id).await? {
            progress.next(&event.what)?;
        }
        Ok(Self {
            progress,
            pending: Vec::new(),
            writer: Writer {
                store: inner.store.clone(),
                stopping: inner.stopping.clone(),
                job: job.id,
                project: job.project.clone(),
                about: job.about.clone(),
                seq,
            },
        })
    }

    pub(super) fn record(&mut self, what: What) -> Result<(), Halt> {
        self.progress.next(&what)?;
        self.pending.push(what);
        Ok(())
    }

    /// A step is applied.
    pub(super) async fn applied(
        &mut self,
        running: Running,
        output: Value,
        begin: Instant,
    ) -> Result<(), Halt> {
        let (step, took_ms) = (running.index, millis(begin));
        let idle = running.cx.idle.load(Ordering::Relaxed);
        self.end_log(running).await?;
        self.record(What::Applied {
            step,
            output,
            took_ms,
            idle,
        })
    }

    /// Ends a log and journals its lines and the notes; returns its last lines.
    pub(super) async fn end_log(&mut self, running: Running) -> Result<Vec<String>, Halt> {
        let Running { index, cx, log } = running;
        let notes = mem::take(&mut *cx.notes.lock().unwrap_or_else(PoisonError::into_inner));
        let kept = mem::take(&mut *cx.kept.lock().unwrap_or_else(PoisonError::into_inner));
        // The log ends when its last writer is dropped.
        drop(cx);
        for text in notes {
            self.record(What::Note { step: index, text })?;
        }
        if let Some(text) = kept {
            self.record(What::Kept { step: index, text })?;
        }
        let Ended {
            last,
            left_out,
            rest,
        } = log.end().await;
        if left_out > 0 {
            let (step, lines) = (index, left_out);
            self.record(What::LeftOut { step, lines })?;
        }
        if !rest.is_empty() {
            self.record(What::Output {
                step: index,
                lines: rest,
            })?;
        }
        Ok(last)
    }

    /// Lines that are to be written now, by [`Writer::write`].
    pub(super) fn take(&mut self) -> Vec<What> {
        mem::take(&mut self.pending)
    }

    /// Puts the pending lines on disk.
    pub(super) async fn flush(&mut self) -> Result<(), Halt> {
        let lines = self.take();
        self.writer.write(lines).await
    }
}

/// What puts a job's lines on disk.
#[derive(Clone)]
pub(super) struct Writer {
    store: Store,
    stopping: CancellationToken,
    job: Uuid,
    project: ProjectName,
    about: About,
    seq: watch::Sender<u64>,
}

impl Writer {
    /// Puts lines on disk; waits while the ledger is locked or the disk is full. A job whose lines cannot
    /// be written stays as it is on disk.
    pub(super) async fn write(&self, lines: Vec<What>) -> Result<(), Halt> {
        if lines.is_empty() {
            return Ok(());
        }
        loop {
            match self.store.append(self.job, lines.clone()).await {
                Ok(seq) => {
                    self.seq.send_replace(seq);
                    return Ok(());
                }
                Err(error) if error.is_passing() => {
                    tracing::error!(job = %self.job, project = %self.project, workspace = self.about.logged_workspace(), build = self.about.logged_build(), "the job waits: {error}");
                    if matches!(error, StoreError::Full(_)) {
                        self.store.release_reserve();
                        // A checkpoint moves SQLite's log into the ledger, which has room, and the log
                        // starts anew.
                        let _ = self.store.checkpoint().await;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(LEDGER_PAUSE) => {}
                        () = self.stopping.cancelled() => return Err(Halt::Stopping),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub(super) fn millis(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX)
}
