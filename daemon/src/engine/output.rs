//! The log of a running step: lines go into the journal in batches, and their last ones stay at
//! hand for the failure.

use super::event::What;
use crate::store::Store;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

/// Lines that may wait; writers beyond wait for room.
const QUEUE: usize = 1024;
const BATCH_LINES: usize = 200;
const BATCH_TIME: Duration = Duration::from_millis(200);
/// A job's log keeps this much from its beginning...
const HEAD_BYTES: usize = 768 * 1024;
/// ...and, once that is used up, this much from the end of each step: with fewer than 16 steps
/// that is 1 MiB in all.
const TAIL_BYTES: usize = 16 * 1024;
/// How many last lines a failure shows.
pub(super) const FAILURE_LINES: usize = 50;

/// The log of one running step.
pub(super) struct Log {
    task: JoinHandle<Ended>,
}

/// A log whose step is over.
#[derive(Default)]
pub(super) struct Ended {
    /// The last lines, for a failure.
    pub(super) last: Vec<String>,
    /// Lines that are not in the journal yet: they go there with the step's end.
    pub(super) rest: Vec<String>,
}

/// Where a log goes and what must not show in it.
pub(super) struct Sink {
    pub(super) store: Store,
    pub(super) job: Uuid,
    pub(super) step: usize,
    pub(super) seq: watch::Sender<u64>,
    /// Bytes the job has logged.
    pub(super) used: Arc<AtomicUsize>,
    pub(super) secrets: Vec<String>,
}

impl Log {
    /// Begins a log; it ends when all senders are gone.
    pub(super) fn start(sink: Sink) -> (mpsc::Sender<String>, Self) {
        let (sender, lines) = mpsc::channel(QUEUE);
        (
            sender,
            Self {
                task: tokio::spawn(collect(sink, lines)),
            },
        )
    }

    /// Waits until all that came is collected.
    pub(super) async fn end(self) -> Ended {
        self.task.await.unwrap_or_default()
    }
}

async fn collect(sink: Sink, mut lines: mpsc::Receiver<String>) -> Ended {
    let mut last = VecDeque::with_capacity(FAILURE_LINES);
    let mut tail = Tail::default();
    let mut batch = Vec::new();
    loop {
        let next = if batch.is_empty() {
            Ok(lines.recv().await)
        } else {
            timeout(BATCH_TIME, lines.recv()).await
        };
        match next {
            Ok(Some(line)) => {
                let line = sink.redact(line);
                if last.len() == FAILURE_LINES {
                    last.pop_front();
                }
                last.push_back(line.clone());
                if sink.used.fetch_add(line.len() + 1, Ordering::Relaxed) < HEAD_BYTES {
                    batch.push(line);
                } else {
                    tail.push(line);
                }
                if batch.len() >= BATCH_LINES {
                    sink.write(&mut batch).await;
                }
            }
            Ok(None) => break,
            Err(_) => sink.write(&mut batch).await,
        }
    }
    batch.extend(tail.into_lines());
    Ended {
        last: last.into(),
        rest: batch,
    }
}

impl Sink {
    async fn write(&self, batch: &mut Vec<String>) {
        if batch.is_empty() {
            return;
        }
        let what = What::Output {
            step: self.step,
            lines: std::mem::take(batch),
        };
        match self.store.append(self.job, vec![what]).await {
            Ok(seq) => {
                self.seq.send_replace(seq);
            }
            // A log is no reason to stop a job.
            Err(error) => tracing::warn!(job = %self.job, "lines of the log are lost: {error}"),
        }
    }

    fn redact(&self, line: String) -> String {
        redact(&self.secrets, line)
    }
}

/// Puts stars in place of what must not be shown.
pub(super) fn redact(secrets: &[String], mut text: String) -> String {
    for secret in secrets {
        if text.contains(secret) {
            text = text.replace(secret, "***");
        }
    }
    text
}

#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    left_out: usize,
}

impl Tail {
    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > TAIL_BYTES {
            let Some(line) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= line.len() + 1;
            self.left_out += 1;
        }
    }

    fn into_lines(self) -> impl Iterator<Item = String> {
        let gap =
            (self.left_out > 0).then(|| format!("[... {} lines left out ...]", self.left_out));
        gap.into_iter().chain(self.lines)
    }
}
