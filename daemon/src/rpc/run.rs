//! Runs a command in a workspace, its streams going both ways.

use super::Api;
use crate::{
    authz::{Claim, Permit},
    domain::WorkspaceState,
    error::Error,
    system::{
        helpers::Identity,
        launcher::session_name,
        session::{self, Session},
        sessions::{Full, Place},
    },
};
use cid_proto::v1::{
    RunRequest, RunResponse, RunStart, run_request::Message as In, run_response::Message as Out,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::ChildStdin,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

const QUEUE: usize = 16;
const CHUNK: usize = 16 * 1024;

type Sender = mpsc::Sender<Result<RunResponse, Status>>;

/// Starts the command of the first message; ends with its exit status.
///
/// # Errors
/// The first message is no start, or the workspace is not ready.
pub(super) async fn run(
    api: &Api,
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
    let (session, place, permit) = begin(api, claim, &start).await?;
    tracing::info!(caller = %permit, program = start.command.first(), "running a command in a workspace");
    let (sender, receiver) = mpsc::channel(QUEUE);
    let stopping = api.stopping.clone();
    let ended = place.ended();
    tokio::spawn(async move {
        let Session {
            mut running,
            stdin,
            stdout,
            stderr,
        } = session;
        let feeder = tokio::spawn(feed(requests, stdin));
        let out = tokio::spawn(forward(stdout, sender.clone(), Out::Stdout));
        let err = tokio::spawn(forward(stderr, sender.clone(), Out::Stderr));
        let status = tokio::select! {
            status = running.wait() => status,
            // Nobody listens any more.
            () = sender.closed() => running.end().await,
            () = stopping.cancelled() => running.end().await,
            // Its workspace goes.
            () = ended.cancelled() => running.end().await,
        };
        // Nothing of it is left, whether its last words are read or not.
        drop(place);
        feeder.abort();
        let _ = tokio::join!(out, err);
        let message = match status {
            Ok(status) => Ok(RunResponse {
                message: Some(Out::ExitStatus(session::exit_status(status))),
            }),
            Err(error) => Err(Status::internal(format!(
                "cannot wait for the command: {error}"
            ))),
        };
        let _ = sender.send(message).await;
    });
    Ok(ReceiverStream::new(receiver))
}

async fn begin(
    api: &Api,
    claim: Claim,
    start: &RunStart,
) -> Result<(Session, Place, Permit), Error> {
    if let Some(program) = start.command.first() {
        claim.runs(program);
    }
    if start.command.first().is_none_or(String::is_empty)
        || start.command.iter().any(|word| word.contains('\0'))
    {
        return Err(Error::invalid(
            "command",
            "a command needs a program, and must not hold NUL",
        ));
    }
    let workspace = api.resolve(start.workspace.clone()).await?;
    let permit = api.bind(claim, &workspace).await?;
    if workspace.state != WorkspaceState::Ready {
        return Err(Error::Precondition {
            message: format!("the workspace of {} is not ready", workspace.email),
            hint: Some("cictl show tells its state and its job".into()),
        });
    }
    // Before the command starts: a delete that begins now finds it.
    let place = api.sys.sessions.begin(&workspace.unit(), permit.uid());
    let place = place.map_err(exhausted)?;
    let unit = match &api.sys.units {
        Some(units) => {
            let identity = Identity::Workspace(workspace.unit(), workspace.id);
            Some(units(&identity)?.unit.named(session_name(&identity)))
        }
        None => None,
    };
    let session = session::start(
        &api.sys.site.helper,
        &api.layout.run_file(&workspace.unit()),
        unit,
        &start.command,
    )?;
    Ok((session, place, permit))
}

fn exhausted(full: Full) -> Error {
    let hint = match full {
        Full::User | Full::Workspace => "end one of them, or wait until one has ended",
        Full::All => "try again when some have ended",
    };
    Error::Exhausted {
        message: full.to_string(),
        hint: Some(hint.into()),
    }
}

async fn feed(mut requests: Streaming<RunRequest>, mut stdin: ChildStdin) {
    while let Ok(Some(request)) = requests.message().await {
        match request.message {
            Some(In::Stdin(bytes)) if stdin.write_all(&bytes).await.is_ok() => {}
            _ => return,
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
