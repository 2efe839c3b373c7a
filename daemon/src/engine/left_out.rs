//! Output that a job's journal has no room for: in a file for each step, which `cictl jobs logs` reads.

use cid_kernel::fs;
use cid_protocol::budget::{JOB_OUTPUT, LOG_BATCH};
use std::{
    mem,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::task::spawn_blocking;

/// The lines of one step.
pub(super) struct LeftOut {
    /// Where they go.
    path: PathBuf,
    /// Bytes that the whole job has left out.
    used: Arc<AtomicUsize>,
    /// Not written yet.
    waiting: Vec<u8>,
    lines: u64,
}

impl LeftOut {
    pub(super) fn new(path: PathBuf, used: Arc<AtomicUsize>) -> Self {
        Self {
            path,
            used,
            waiting: Vec::new(),
            lines: 0,
        }
    }

    /// Takes a line. Past the bound it only counts.
    pub(super) async fn push(&mut self, line: &str) {
        self.lines += 1;
        let bytes = line.len() + 1;
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes > JOB_OUTPUT.most {
            return;
        }
        self.waiting.extend_from_slice(line.as_bytes());
        self.waiting.push(b'\n');
        if self.waiting.len() >= LOG_BATCH.most {
            self.write().await;
        }
    }

    /// Writes what waits, and tells how many lines there were.
    pub(super) async fn end(mut self) -> u64 {
        self.write().await;
        self.lines
    }

    /// A full disk loses lines and stops no job: those who read are told how many are missing.
    async fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let (path, lines) = (self.path.clone(), mem::take(&mut self.waiting));
        match spawn_blocking(move || fs::append(&path, &lines)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::warn!("lines of a job's output are lost: {fault}"),
            Err(error) => tracing::warn!("lines of a job's output are lost: {error}"),
        }
    }
}
