//! Helpers that stand ready as long as the daemon lives: every creation needs them, and systemd takes longer
//! to start a unit than they take to do the work.

use super::{
    exec,
    helpers::{Call, Identity, Launcher, ask},
};
use cid_protocol::{
    fault::Fault,
    request::{Ask, RunTool},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What standing helpers count as the job of.
pub const STANDING: Uuid = Uuid::nil();
/// Bytes of a tool's output that are kept.
const OUTPUT_LIMIT: usize = 1024 * 1024;

/// Runs the machine's own tools by a helper that stands ready.
#[derive(Clone)]
pub struct Standing {
    launcher: Arc<dyn Launcher>,
    identity: Identity,
    /// Held while something is done.
    turn: Arc<Mutex<()>>,
}

impl Standing {
    /// Starts nothing yet.
    pub fn new(launcher: Arc<dyn Launcher>, identity: Identity) -> Self {
        Self {
            launcher,
            identity,
            turn: Arc::default(),
        }
    }

    /// Starts the helper, so that the first one who asks need not wait for it.
    pub async fn prepare(&self) {
        self.launcher.prepare(STANDING, self.identity.clone()).await;
    }

    /// Makes the helper do something to its end, even if the caller stops waiting: half of it would stay.
    /// Gives the reply, and the first MiB of what was printed.
    ///
    /// # Errors
    /// The helper cannot be started, or has not answered within `limit`; or its own.
    pub async fn ask<A>(&self, request: A, limit: Duration) -> Result<(A::Reply, String), Fault>
    where
        A: Ask + 'static,
        A::Reply: 'static,
    {
        let (standing, turn) = (self.clone(), Arc::clone(&self.turn).lock_owned().await);
        let asked = tokio::spawn(async move {
            let answer = standing.ask_and_listen(request, limit).await;
            drop(turn);
            answer
        });
        asked
            .await
            .map_err(|error| Fault::new(format!("cannot hear of a helper's end: {error}")))?
    }

    /// Waits until all is done that was begun before.
    pub async fn idle(&self) {
        drop(self.turn.lock().await);
    }

    /// Runs a tool to its end. Both fields of the output hold both streams, line by line, up to the first
    /// MiB.
    ///
    /// # Errors
    /// The helper cannot be started, or the tool has not ended within `limit`.
    pub async fn output(
        &self,
        command: Vec<String>,
        limit: Duration,
    ) -> Result<exec::Output, Fault> {
        let (ran, text) = self.ask(RunTool { command }, limit).await?;
        Ok(exec::Output {
            status: ran.status,
            stdout: text.clone(),
            stderr: text,
        })
    }

    async fn ask_and_listen<A: Ask>(
        &self,
        request: A,
        limit: Duration,
    ) -> Result<(A::Reply, String), Fault> {
        let (lines, mut printed) = mpsc::channel(64);
        let call = Call {
            job: STANDING,
            identity: self.identity.clone(),
            limit,
            lines,
            cancel: CancellationToken::new(),
            who: Arc::default(),
        };
        let collect = async {
            let mut text = String::new();
            while let Some(line) = printed.recv().await {
                if text.len() + line.len() < OUTPUT_LIMIT {
                    text.push_str(&line);
                    text.push('\n');
                }
            }
            text
        };
        let run = async {
            let reply = ask(self.launcher.as_ref(), &call, request).await;
            // The last sender of output is dropped with it.
            drop(call);
            reply
        };
        let (reply, text) = tokio::join!(run, collect);
        Ok((reply?, text))
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Standing").field(&self.identity).finish()
    }
}
