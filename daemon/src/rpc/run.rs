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
use tokio_util::sync::CancellationToken;
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
    let (session, ended, permit) = begin(api, claim, &start).await?;
    tracing::info!(caller = %permit, program = start.command.first(), "running a command in a workspace");
    let (sender, receiver) = mpsc::channel(QUEUE);
    let stopping = api.stopping.clone();
    tokio::spawn(async move {
        let Session {
            mut child,
            stdin,
            stdout,
            stderr,
        } = session;
        let feeder = tokio::spawn(feed(requests, stdin));
        let out = tokio::spawn(forward(stdout, sender.clone(), Out::Stdout));
        let err = tokio::spawn(forward(stderr, sender.clone(), Out::Stderr));
        let status = tokio::select! {
            status = child.wait() => status,
            // Nobody listens any more: the helper ends the command and all that it started.
            () = sender.closed() => session::end(&mut child).await,
            () = stopping.cancelled() => session::end(&mut child).await,
            // Its workspace goes.
            () = ended.cancelled() => session::end(&mut child).await,
        };
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
) -> Result<(Session, CancellationToken, Permit), Error> {
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
    let ended = api.sys.sessions.of(&workspace.unit());
    let unit = match &api.sys.units {
        Some(units) => {
            let isolation = workspace.isolation.clone();
            let identity = Identity::Workspace(workspace.unit(), workspace.id, isolation);
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
    Ok((session, ended, permit))
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
