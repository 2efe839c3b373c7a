//! One running helper.

use super::{
    keeper::Keeper,
    starter::{Shape, Start},
};
use cid_protocol::{
    budget::HELPER_ANSWER,
    fault::{Fault, FaultContext},
    request::Request,
    wire::Answer,
};
use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::mpsc,
    time::timeout,
};
use uuid::Uuid;

/// A longer reply is treated as invalid.
const MAX_ANSWER: u64 = HELPER_ANSWER.most as u64;

/// The result of a call.
pub(super) enum Outcome {
    /// The helper answered and can be asked again.
    Answered(Result<serde_json::Value, Fault>),
    /// Somebody cancelled.
    Cancelled,
    /// The time is up.
    TooLong,
    /// The helper is gone or talks nonsense.
    Lost,
}

/// A helper and the ends of its pipes. Dropping it closes its input: it then kills everything it
/// started and exits.
pub(super) struct Helper {
    child: Child,
    pid: i32,
    keeper: Keeper,
    shape: Shape,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it last complained of.
    complaint: Arc<Mutex<String>>,
}

impl Helper {
    pub(super) fn start(start: Start, job: Uuid) -> Result<Self, Fault> {
        let Start {
            command,
            env,
            keeper,
            shape,
        } = start;
        let (program, args) = command
            .split_first()
            .ok_or_else(|| Fault::new("cannot start a helper: there is no command"))?;
        #[expect(clippy::disallowed_methods, reason = "one of the few doors")]
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(env)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                Fault::io("start", Path::new(program), error)
                    .hint("cid-helper belongs beside cid; build or install both")
            })?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let ends = (
            pid,
            child.stdin.take(),
            child.stdout.take(),
            child.stderr.take(),
        );
        let (Some(pid), Some(input), Some(output), Some(errors)) = ends else {
            return Err(Fault::io("talk to", Path::new(program), "it has no pipes"));
        };
        let complaint = Arc::default();
        tokio::spawn(follow(errors, Arc::clone(&complaint), job));
        Ok(Self {
            child,
            pid,
            keeper,
            shape,
            input,
            output: BufReader::new(output),
            complaint,
        })
    }

    /// Sends a request and passes lines on until it is answered.
    pub(super) async fn ask(&mut self, request: &Request, lines: &mpsc::Sender<String>) -> Outcome {
        let Ok(mut text) = serde_json::to_vec(request) else {
            return Outcome::Lost;
        };
        text.push(b'\n');
        // If the helper died before reading, the error shows when its answer is read.
        let _ = self.input.write_all(&text).await;
        let _ = self.input.flush().await;
        loop {
            match read_answer(&mut self.output).await {
                Some(Answer::Line(line)) => {
                    // Nobody has to listen.
                    let _ = lines.send(line).await;
                }
                Some(Answer::Reply(reply)) => return Outcome::Answered(Ok(reply)),
                Some(Answer::Fault {
                    message,
                    hint,
                    lost,
                    no_program,
                }) => {
                    return Outcome::Answered(Err(Fault {
                        message,
                        hint,
                        cancelled: false,
                        lost,
                        no_program,
                    }));
                }
                None => return Outcome::Lost,
            }
        }
    }

    /// Whether it was started with this shape.
    pub(super) fn is_like(&self, shape: &Shape) -> bool {
        self.shape == *shape
    }

    /// Whether it has not ended yet.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What holds it together.
    pub(super) fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }

    /// Ends it and everything it started; returns when all are dead.
    pub(super) async fn end(self, limit: Duration) -> Result<ExitStatus, Fault> {
        let Self {
            mut child,
            pid,
            keeper,
            input,
            output,
            ..
        } = self;
        // Closing its input tells the helper to clean up. Its output is closed too: nobody reads it, and the
        // helper would block on it.
        drop((input, output));
        let status = match timeout(limit, child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                keeper.kill(pid, limit).await?;
                child.wait().await
            }
        };
        let status = status.cannot("wait for a helper")?;
        // One that was killed from outside could not clean up.
        if !status.success() {
            keeper.sweep(pid, limit).await?;
        }
        Ok(status)
    }

    /// Says how it died.
    pub(super) async fn lost(self, limit: Duration) -> Fault {
        let complaint = Arc::clone(&self.complaint);
        let status = match self.end(limit).await {
            Ok(status) => status,
            Err(fault) => return fault,
        };
        let how = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, code) => format!("status {}", code.unwrap_or_default()),
        };
        let complaint = complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let fault = Fault::new(format!("cannot go on: the helper died ({how})"));
        if complaint.is_empty() {
            fault.hint("retry; the kernel's log tells whether memory ran out")
        } else {
            fault.hint(format!("it said: {complaint}"))
        }
    }
}

async fn read_answer(output: &mut (impl AsyncBufRead + Unpin)) -> Option<Answer> {
    let mut line = Vec::new();
    output
        .take(MAX_ANSWER)
        .read_until(b'\n', &mut line)
        .await
        .ok()?;
    serde_json::from_slice(&line).ok()
}

/// A helper complains only when something is wrong with itself.
async fn follow(errors: ChildStderr, complaint: Arc<Mutex<String>>, job: Uuid) {
    let mut errors = BufReader::new(errors);
    loop {
        let mut line = Vec::new();
        match (&mut errors).take(4096).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                tracing::warn!(%job, "helper: {line}");
                *complaint.lock().unwrap_or_else(PoisonError::into_inner) = line;
            }
        }
    }
}
