//! Keeps an engine up.

use async_trait::async_trait;
use cid_protocol::fault::Fault;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How it came that an engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It was started.
    Fresh,
    /// It ran already.
    Adopted,
}

/// A program that is to run all the time.
#[async_trait]
pub(super) trait Engine: Send + Sync + 'static {
    /// What it is called in messages.
    const NAME: &'static str;
    /// Whether the process that was started or adopted runs.
    fn is_up(&self) -> bool;
    /// Starts it, or adopts one that runs.
    async fn start(&self) -> Result<Start, Fault>;
}

/// Starts the engine again whenever it has ended, until told to stop.
pub(super) async fn keep_up<E: Engine>(engine: Arc<E>, stopping: CancellationToken) {
    let mut pause = LOOK_EVERY;
    let mut told = String::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = sleep(pause) => {}
        }
        if engine.is_up() {
            continue;
        }
        // A start that has begun is finished, so that nobody stops half an engine.
        match engine.start().await {
            Ok(_) => {
                tracing::warn!(
                    engine = E::NAME,
                    "an engine had ended and was started again"
                );
                (pause, told) = (LOOK_EVERY, String::new());
            }
            Err(fault) => {
                if told != fault.message {
                    tracing::error!(engine = E::NAME, %fault, hint = fault.hint, "an engine has ended and cannot be started");
                    told = fault.message;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
