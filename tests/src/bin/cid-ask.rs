//! Calls every RPC of the daemon once, by one socket, as the user who runs it, and prints one line for
//! each: the RPC, the status it was answered with, and the words that came with it. For tests of who
//! may do what; the calls are such that nothing happens where the workspace holds uncommitted work.
//!
//! `cid-ask SOCKET EMAIL PROJECT JOB [RPC]...`; exit status 3 when the socket cannot be opened. With `-`
//! for SOCKET its standard input is the connection. Each call says by its headers that it is somebody
//! else's, which nobody should listen to.

use anyhow::{Context, Result};
use cid_proto::v1;
use hyper_util::rt::TokioIo;
use prost::{
    Message,
    bytes::{Buf, BufMut},
};
use std::{
    env, io,
    os::{fd::AsFd, unix::net},
    process::ExitCode,
    time::Duration,
};
use tokio::net::UnixStream;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    metadata::MetadataValue,
    transport::{Channel, Endpoint, Uri},
};

const LIMIT: Duration = Duration::from_secs(20);
const CLOSED: u8 = 3;

/// Every RPC and a harmless request for it: one about the workspace, which holds work, or an empty one.
fn calls(email: &str, project: &str, job: &str) -> Vec<(String, Vec<u8>)> {
    let workspace = v1::WorkspaceRef {
        email: email.to_owned(),
        project: project.to_owned(),
    };
    let ours = cid_proto::rpcs().into_iter().map(|rpc| {
        let special = special(&rpc.path, &workspace, job);
        let request = special.unwrap_or_else(|| rpc.about(&workspace));
        (rpc.path, request)
    });
    let others = [
        ("/grpc.health.v1.Health/Check", &[][..]),
        ("/grpc.health.v1.Health/List", &[]),
        ("/grpc.health.v1.Health/Watch", &[]),
        // `list_services`, field 7.
        (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            &[0x3a, 0x01, b'*'],
        ),
        ("/cid.v1.Workspaces/Destroy", &[]),
    ];
    let others = others
        .into_iter()
        .map(|(rpc, message)| (rpc.to_owned(), message.to_vec()));
    ours.chain(others).collect()
}

/// The request of an RPC that needs more, or is harmless about nothing only.
fn special(rpc: &str, workspace: &v1::WorkspaceRef, job: &str) -> Option<Vec<u8>> {
    let project = || workspace.project.clone();
    let nothing = || "no-such-project".to_owned();
    let email = || workspace.email.clone();
    // Messages that differ in nothing but their names are written once.
    Some(match rpc {
        "/cid.v1.Workspaces/Run" => {
            let start = v1::RunStart {
                workspace: Some(workspace.clone()),
                command: vec!["true".to_owned()],
                terminal: None,
            };
            let message = Some(v1::run_request::Message::Start(start));
            v1::RunRequest { message }.encode_to_vec()
        }
        "/cid.v1.Workspaces/Test" => v1::TestRequest {
            workspace: Some(workspace.clone()),
            number: 99,
        }
        .encode_to_vec(),
        "/cid.v1.Workspaces/Visit" => v1::VisitRequest {
            unit: "no-such-project.anna---example-com".to_owned(),
        }
        .encode_to_vec(),
        "/cid.v1.Builds/Start" => v1::StartBuildRequest {
            project: project(),
            revision: "no-such-branch".to_owned(),
            again: false,
        }
        .encode_to_vec(),
        "/cid.v1.Builds/Get" | "/cid.v1.Builds/Logs" | "/cid.v1.Builds/Delete" => {
            let build = v1::BuildRef {
                project: project(),
                number: 999,
            };
            v1::GetBuildRequest { build: Some(build) }.encode_to_vec()
        }
        "/cid.v1.Jobs/Get"
        | "/cid.v1.Jobs/Watch"
        | "/cid.v1.Jobs/Cancel"
        | "/cid.v1.Jobs/Retry" => v1::GetJobRequest { id: job.to_owned() }.encode_to_vec(),
        "/cid.v1.People/Link" | "/cid.v1.People/EndSessions" => {
            v1::LinkRequest { email: email() }.encode_to_vec()
        }
        "/cid.v1.Projects/Get" | "/cid.v1.Projects/Check" => {
            v1::GetProjectRequest { name: project() }.encode_to_vec()
        }
        "/cid.v1.Projects/Fetch" | "/cid.v1.Projects/Hooks" | "/cid.v1.Projects/Remove" => {
            v1::GetProjectRequest { name: nothing() }.encode_to_vec()
        }
        "/cid.v1.System/Prune" => v1::PruneRequest {
            project: nothing(),
            dry_run: true,
        }
        .encode_to_vec(),
        "/cid.v1.Hooks/Deliver" => {
            let start = v1::DeliverStart {
                project: nothing(),
                ..v1::DeliverStart::default()
            };
            let message = Some(v1::deliver_request::Message::Start(start));
            v1::DeliverRequest { message }.encode_to_vec()
        }
        _ => return None,
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [socket, email, project, job, only @ ..] = &args[..] else {
        anyhow::bail!("usage: cid-ask SOCKET EMAIL PROJECT JOB [RPC]...");
    };
    let stream = match connect(socket).await {
        Ok(stream) => stream,
        Err(error) => {
            println!("connect\t{:?}\t{error}", error.kind());
            return Ok(ExitCode::from(CLOSED));
        }
    };
    let mut grpc = Grpc::new(channel(stream).await?);
    for (rpc, request) in calls(email, project, job) {
        if !only.is_empty() && !only.contains(&rpc) {
            continue;
        }
        let answer = tokio::time::timeout(LIMIT, ask(&mut grpc, &rpc, request)).await;
        let (code, words) = match answer {
            Ok(Ok(())) => (Code::Ok, String::new()),
            Ok(Err(status)) => (status.code(), status.message().to_owned()),
            Err(_) => (Code::DeadlineExceeded, "no answer".to_owned()),
        };
        println!("{rpc}\t{code:?}\t{}", words.replace('\n', " "));
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(socket: &str) -> io::Result<UnixStream> {
    if socket != "-" {
        return UnixStream::connect(socket).await;
    }
    let stream = net::UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// A channel over this one connection.
async fn channel(stream: UnixStream) -> Result<Channel> {
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.take().map(TokioIo::new);
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        std::future::ready(stream.ok_or_else(gone))
    });
    let endpoint = Endpoint::from_static("http://cid.localhost");
    let channel = endpoint.connect_with_connector(connector).await;
    channel.context("the daemon does not speak gRPC")
}

/// Unary or not looks the same on the wire. Of a stream only the first message is awaited.
async fn ask(grpc: &mut Grpc<Channel>, rpc: &str, message: Vec<u8>) -> Result<(), Status> {
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(tokio_stream::once(message));
    for header in ["x-forwarded-user", "x-remote-user", "cid-user", "cid-uid"] {
        let name = if header.ends_with("uid") { "0" } else { "root" };
        let name = MetadataValue::from_static(name);
        request.metadata_mut().insert(header, name);
    }
    let path = PathAndQuery::try_from(rpc).map_err(|error| Status::internal(error.to_string()))?;
    let answer = grpc.streaming(request, path, Bytes).await?;
    answer.into_inner().message().await.map(drop)
}

/// Messages as bytes.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        buffer.advance(buffer.remaining());
        Ok(Some(()))
    }
}
