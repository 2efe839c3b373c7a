//! Runs a command in a workspace, with streams in both directions.

use super::named;
use crate::{
    authz::Claim,
    cid::Cid,
    error::Error,
    operation::{self, Running, Wanted},
    system::session::{self, Input, Session},
};
use cid_proto::v1::{
    self, RunRequest, RunResponse, WindowSize, run_request::Message as In,
    run_response::Message as Out,
};
use cid_protocol::frame::{Size, Start, Terminal};
use std::collections::BTreeMap;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

const QUEUE: usize = 16;
const CHUNK: usize = 16 * 1024;
/// Used if the client does not know the size.
const DEFAULT_SIZE: Size = Size {
    rows: 24,
    columns: 80,
};

type Sender = mpsc::Sender<Result<RunResponse, Status>>;

/// Starts the command of the first message; ends with its exit status.
///
/// # Errors
/// The first message is not a start, or the workspace is not ready.
pub(super) async fn run(
    cid: &Cid,
    claim: Claim,
    mut requests: Streaming<RunRequest>,
) -> Result<ReceiverStream<Result<RunResponse, Status>>, Status> {
    let start = match requests
        .message()
        .await?
        .and_then(|request| request.message)
    {
        Some(In::Start(start)) => start,
        _ => return Err(Error::invalid("start", "the first message must be `start`").into()),
    };
    let named = named(start.workspace)?;
    let wanted = match start.test {
        0 => Wanted::Command(command(start.command, start.terminal)),
        number => Wanted::Test(number),
    };
    claim.runs(wanted.program());
    let Running {
        start,
        session,
        place,
    } = operation::run(cid, claim, &named, wanted).await?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let stopping = cid.stopping.clone();
    let ended = place.ended();
    tokio::spawn(async move {
        let Session {
            mut running,
            input,
            stdout,
            stderr,
        } = session;
        let feeder = tokio::spawn(feed(start, requests, input));
        let out = tokio::spawn(forward(stdout, sender.clone(), Out::Stdout));
        let err = tokio::spawn(forward(stderr, sender.clone(), Out::Stderr));
        let (status, cut) = tokio::select! {
            status = running.wait() => (status, None),
            // The client has gone.
            () = sender.closed() => (running.end().await, None),
            () = stopping.cancelled() => (running.end().await, Some(daemon_stops())),
            () = ended.cancelled() => (running.end().await, Some(workspace_goes())),
        };
        // No process of it remains, whether its last output is read or not.
        drop(place);
        feeder.abort();
        let _ = tokio::join!(out, err);
        let message = match (cut, status) {
            (Some(cut), _) => Err(cut),
            (None, Ok(status)) => Ok(RunResponse {
                message: Some(Out::ExitStatus(session::exit_status(status))),
            }),
            (None, Err(error)) => Err(Status::internal(format!(
                "cannot wait for the command: {error}"
            ))),
        };
        let _ = sender.send(message).await;
    });
    Ok(ReceiverStream::new(receiver))
}

fn daemon_stops() -> Status {
    Status::unavailable("the command was ended: the daemon stops or is started anew")
}

fn workspace_goes() -> Status {
    Status::aborted("the command was ended: its workspace is being deleted")
}

fn command(command: Vec<String>, terminal: Option<v1::Terminal>) -> Start {
    Start {
        env: BTreeMap::new(),
        command: Some(command).filter(|command| !command.is_empty()),
        terminal: terminal.map(|terminal| Terminal {
            size: terminal.size.as_ref().map_or(DEFAULT_SIZE, size),
            name: terminal.name,
        }),
    }
}

fn size(told: &WindowSize) -> Size {
    let bounded = |told: u32, default: u16| match u16::try_from(told) {
        Ok(0) | Err(_) => default,
        Ok(told) => told,
    };
    Size {
        rows: bounded(told.rows, DEFAULT_SIZE.rows),
        columns: bounded(told.columns, DEFAULT_SIZE.columns),
    }
}

async fn feed(start: Start, mut requests: Streaming<RunRequest>, mut input: Input) {
    if input.begin(start).await.is_err() {
        return;
    }
    while let Ok(Some(request)) = requests.message().await {
        let fed = match request.message {
            Some(In::Stdin(bytes)) => input.write(bytes).await,
            Some(In::WindowSize(told)) => input.resize(size(&told)).await,
            _ => return,
        };
        if fed.is_err() {
            return;
        }
    }
}

async fn forward(mut from: impl AsyncRead + Unpin, to: Sender, wrap: fn(Vec<u8>) -> Out) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let message = RunResponse {
            message: Some(wrap(buffer[..count].to_vec())),
        };
        if to.send(Ok(message)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_terminal_has_are_left_out() {
        let told = |rows, columns| size(&WindowSize { rows, columns });
        let size = told(70_000, 132);
        assert_eq!((size.rows, size.columns), (24, 132));
        let size = told(50, 0);
        assert_eq!((size.rows, size.columns), (50, 80));
    }
}
