//! Runs a command in a workspace, with streams in both directions.

use super::read_named;
use crate::{
    authz::Claim,
    cid::Cid,
    error::Error,
    operation::{self, Named, Running, Wanted},
    system::session::{self, Input, Session},
};
use cid_proto::v1::{
    self, RunRequest, RunResponse, WindowSize, run_request::Message as In,
    run_response::Message as Out,
};
use cid_protocol::frame::{Size, Start, Terminal};
use futures::{Stream, StreamExt as _, future, stream};
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

type Answer = Result<RunResponse, Status>;
type Sender = mpsc::Sender<Answer>;

/// Starts the command of the first message; ends with its exit status.
///
/// # Errors
/// The first message is not a start, or the workspace is not ready.
pub(super) async fn run(
    cid: &Cid,
    claim: Claim,
    mut requests: Streaming<RunRequest>,
) -> Result<ReceiverStream<Answer>, Status> {
    let start = match requests
        .message()
        .await?
        .and_then(|request| request.message)
    {
        Some(In::Start(start)) => start,
        _ => return Err(Error::invalid("start", "the first message must be `start`").into()),
    };
    let named = read_named(start.workspace)?;
    claim.names(&named.owner, &named.project);
    let wanted = Wanted::Command(command(start.command, start.terminal));
    let running = begin(cid, claim, &named, wanted).await?;
    let messages = requests
        .take_while(|request| future::ready(request.is_ok()))
        .filter_map(|request| future::ready(request.ok().and_then(|request| request.message)));
    Ok(pass_on(cid, running, messages))
}

/// Runs one of the project's tests, which reads nothing; ends with its exit status.
///
/// # Errors
/// There is no such test, or the workspace is not ready.
pub(super) async fn test(
    cid: &Cid,
    claim: Claim,
    named: &Named,
    number: u32,
) -> Result<ReceiverStream<Answer>, Status> {
    let running = begin(cid, claim, named, Wanted::Test(number)).await?;
    let no_input = stream::iter([In::StdinClosed(true)]);
    Ok(pass_on(cid, running, no_input))
}

async fn begin(cid: &Cid, claim: Claim, named: &Named, wanted: Wanted) -> Result<Running, Error> {
    claim.runs(wanted.program());
    operation::run(cid, claim, named, wanted).await
}

/// Carries input to the command and its output back, until one side ends.
fn pass_on(
    cid: &Cid,
    running: Running,
    input_messages: impl Stream<Item = In> + Send + Unpin + 'static,
) -> ReceiverStream<Answer> {
    let Running {
        start,
        session,
        place,
    } = running;
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
        let feeder = tokio::spawn(feed(start, input_messages, input));
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
    ReceiverStream::new(receiver)
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

async fn feed(start: Start, mut messages: impl Stream<Item = In> + Unpin, mut input: Input) {
    if input.begin(start).await.is_err() {
        return;
    }
    while let Some(message) = messages.next().await {
        let fed = match message {
            In::Stdin(bytes) => input.write(bytes).await,
            In::WindowSize(told) => input.resize(size(&told)).await,
            In::Start(_) | In::StdinClosed(_) => return,
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
