//! Runs a command in a workspace, with streams in both directions.

use crate::{
    authz::{Claim, Permit},
    cid::Cid,
    domain::WorkspaceState,
    error::Error,
    system::{
        helpers::{Identity, WorkspaceUser},
        launcher::session_name,
        session::{self, Input, Session},
        sessions::{Full, Place},
    },
};
use cid_proto::v1::{
    RunRequest, RunResponse, RunStart, WindowSize, run_request::Message as In,
    run_response::Message as Out,
};
use cid_protocol::{
    budget::RUN_COMMAND,
    frame::{Size, Start, Terminal},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

const QUEUE: usize = 16;
const CHUNK: usize = 16 * 1024;
/// The name of an interactive shell in the log and the audit.
const SHELL: &str = "shell";
/// The longest name of a terminal type.
const MAX_NAME: usize = 64;
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
    let (session, wanted, place, permit) = begin(cid, claim, &start).await?;
    let program = start.command.first().map_or(SHELL, String::as_str);
    tracing::info!(caller = %permit, program, "running a command in a workspace");
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
        let feeder = tokio::spawn(feed(wanted, requests, input));
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

async fn begin(
    cid: &Cid,
    claim: Claim,
    start: &RunStart,
) -> Result<(Session, Start, Place, Permit), Error> {
    claim.runs(start.command.first().map_or(SHELL, String::as_str));
    let wanted = wanted(start)?;
    let bytes = start.command.iter().map(|word| word.len() + 1).sum();
    let taken = RUN_COMMAND.check(bytes, "this command");
    taken.map_err(|over| Error::over("command", &over))?;
    let workspace = cid.resolve(start.workspace.clone()).await?;
    let permit = cid.bind(claim, &workspace).await?;
    if workspace.state != WorkspaceState::Ready {
        if let Some(job) = cid.store.live_job(workspace.id).await? {
            let (job, kind) = (job.id, job.kind);
            return Err(Error::JobInTheWay { job, kind });
        }
        return Err(Error::Precondition {
            message: format!("the workspace of {} is not ready", workspace.email),
            hint: Some("cictl show tells its state and its job".into()),
        });
    }
    // Before the command starts, so that a delete that begins now finds it.
    let place = cid.sys.sessions.begin(&workspace.unit(), permit.uid());
    let place = place.map_err(exhausted)?;
    let unit = match &cid.sys.units {
        Some(units) => {
            let identity = Identity::Workspace(WorkspaceUser::of(&workspace));
            Some(units(&identity)?.unit.named(session_name(&identity)))
        }
        None => None,
    };
    let session = session::start(
        &cid.sys.site.helper,
        &cid.layout.run_file(&workspace.instance()),
        unit,
        wanted.terminal.is_some(),
    )?;
    Ok((session, wanted, place, permit))
}

fn wanted(start: &RunStart) -> Result<Start, Error> {
    let terminal = start.terminal.as_ref().map(|terminal| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let name = &terminal.name;
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
            return Err(Error::invalid(
                "terminal",
                "the kind of a terminal is a name as in TERM",
            ));
        }
        Ok(Terminal {
            name: name.clone(),
            size: terminal.size.as_ref().map_or(DEFAULT_SIZE, size),
        })
    });
    let terminal = terminal.transpose()?;
    if start.command.is_empty() && terminal.is_some() {
        return Ok(Start {
            command: None,
            terminal,
        });
    }
    if start.command.first().is_none_or(String::is_empty)
        || start.command.iter().any(|word| word.contains('\0'))
    {
        return Err(Error::invalid(
            "command",
            "a command needs a program, and must not hold NUL",
        ));
    }
    Ok(Start {
        command: Some(start.command.clone()),
        terminal,
    })
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

async fn feed(wanted: Start, mut requests: Streaming<RunRequest>, mut input: Input) {
    if input.begin(wanted).await.is_err() {
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
    use cid_proto::v1;

    fn start(command: &[&str], terminal: Option<&str>) -> RunStart {
        RunStart {
            workspace: None,
            command: command.iter().map(|&word| word.into()).collect(),
            terminal: terminal.map(|name| v1::Terminal {
                name: name.into(),
                size: Some(WindowSize {
                    rows: 70_000,
                    columns: 132,
                }),
            }),
        }
    }

    #[test]
    fn a_shell_takes_a_terminal_and_all_else_a_program() {
        let shell = wanted(&start(&[], Some("xterm-256color"))).unwrap();
        assert_eq!(shell.command, None);
        let size = shell.terminal.unwrap().size;
        assert_eq!((size.rows, size.columns), (24, 132));
        let command = wanted(&start(&["ls", ""], None)).unwrap();
        assert_eq!(command.command.unwrap(), ["ls", ""]);
        for (command, terminal) in [
            (&[][..], None),
            (&[""], None),
            (&["", "x"], Some("xterm")),
            (&["a", "b\0c"], None),
            (&["a"], Some("")),
            (&["a"], Some("x\ny")),
            (&["a"], Some("../x")),
            (&["a"], Some(&"x".repeat(65))),
        ] {
            assert!(
                wanted(&start(command, terminal)).is_err(),
                "{command:?} {terminal:?}"
            );
        }
    }
}
