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

/// Every RPC and a harmless request for it.
fn calls(email: &str, project: &str, job: &str) -> Vec<(&'static str, Vec<u8>)> {
    let reference = || {
        let (email, project) = (email.to_owned(), project.to_owned());
        Some(v1::WorkspaceRef { email, project })
    };
    let workspace = || v1::GetRequest {
        look: false,
        workspace: reference(),
    };
    let id = || v1::GetJobRequest { id: job.to_owned() };
    let no_commit = || v1::StartBuildRequest {
        project: project.to_owned(),
        revision: "no-such-branch".to_owned(),
        again: false,
    };
    let no_build = || v1::GetBuildRequest {
        build: Some(v1::BuildRef {
            project: project.to_owned(),
            number: 999,
        }),
    };
    let person = || v1::LinkRequest {
        email: email.to_owned(),
    };
    let project = || v1::GetProjectRequest {
        name: project.to_owned(),
    };
    let nothing = || v1::RemoveProjectRequest {
        name: "no-such-project".to_owned(),
    };
    let start = v1::run_request::Message::Start(v1::RunStart {
        workspace: reference(),
        command: vec!["true".to_owned()],
        terminal: None,
    });
    let no_test = v1::TestRequest {
        workspace: reference(),
        number: 99,
    };
    let run = v1::RunRequest {
        message: Some(start),
    };
    let delivery = v1::DeliverRequest {
        message: Some(v1::deliver_request::Message::Start(v1::DeliverStart {
            project: "no-such-project".to_owned(),
            ..v1::DeliverStart::default()
        })),
    };
    // Messages that differ in nothing but their names are written once.
    vec![
        ("/cid.v1.Workspaces/Create", workspace().encode_to_vec()),
        ("/cid.v1.Workspaces/Get", workspace().encode_to_vec()),
        ("/cid.v1.Workspaces/List", Vec::new()),
        ("/cid.v1.Workspaces/Delete", workspace().encode_to_vec()),
        ("/cid.v1.Workspaces/Restart", workspace().encode_to_vec()),
        ("/cid.v1.Workspaces/Deploy", workspace().encode_to_vec()),
        (
            "/cid.v1.Workspaces/RepairAccess",
            workspace().encode_to_vec(),
        ),
        ("/cid.v1.Workspaces/Logs", workspace().encode_to_vec()),
        ("/cid.v1.Workspaces/Run", run.encode_to_vec()),
        ("/cid.v1.Workspaces/Test", no_test.encode_to_vec()),
        ("/cid.v1.Builds/Start", no_commit().encode_to_vec()),
        ("/cid.v1.Builds/List", Vec::new()),
        ("/cid.v1.Builds/Get", no_build().encode_to_vec()),
        ("/cid.v1.Builds/Logs", no_build().encode_to_vec()),
        ("/cid.v1.Builds/Delete", no_build().encode_to_vec()),
        ("/cid.v1.Stages/List", Vec::new()),
        ("/cid.v1.Stages/Promote", Vec::new()),
        ("/cid.v1.Stages/RollBack", Vec::new()),
        ("/cid.v1.Stages/Preview", Vec::new()),
        ("/cid.v1.Jobs/Get", id().encode_to_vec()),
        ("/cid.v1.Jobs/List", Vec::new()),
        ("/cid.v1.Jobs/Watch", id().encode_to_vec()),
        ("/cid.v1.Jobs/Cancel", id().encode_to_vec()),
        ("/cid.v1.Jobs/Retry", id().encode_to_vec()),
        ("/cid.v1.People/Link", person().encode_to_vec()),
        ("/cid.v1.People/AskForLink", Vec::new()),
        ("/cid.v1.People/Redeem", Vec::new()),
        ("/cid.v1.People/WhoAmI", Vec::new()),
        ("/cid.v1.People/SignOut", Vec::new()),
        ("/cid.v1.People/List", Vec::new()),
        ("/cid.v1.People/EndSessions", person().encode_to_vec()),
        ("/cid.v1.Projects/List", Vec::new()),
        ("/cid.v1.Projects/Get", project().encode_to_vec()),
        ("/cid.v1.Projects/Check", project().encode_to_vec()),
        ("/cid.v1.Projects/Fetch", nothing().encode_to_vec()),
        ("/cid.v1.Projects/Hooks", nothing().encode_to_vec()),
        ("/cid.v1.Projects/Remove", nothing().encode_to_vec()),
        ("/cid.v1.Hooks/Deliver", delivery.encode_to_vec()),
        ("/cid.v1.System/Version", Vec::new()),
        ("/cid.v1.System/Doctor", Vec::new()),
        ("/cid.v1.System/EnableFront", Vec::new()),
        ("/cid.v1.System/DisableFront", Vec::new()),
        ("/cid.v1.System/Audit", Vec::new()),
        ("/grpc.health.v1.Health/Check", Vec::new()),
        ("/grpc.health.v1.Health/List", Vec::new()),
        ("/grpc.health.v1.Health/Watch", Vec::new()),
        // `list_services`, field 7.
        (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            vec![0x3a, 0x01, b'*'],
        ),
        ("/cid.v1.Workspaces/Destroy", workspace().encode_to_vec()),
    ]
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
        if !only.is_empty() && !only.iter().any(|only| only == rpc) {
            continue;
        }
        let answer = tokio::time::timeout(LIMIT, ask(&mut grpc, rpc, request)).await;
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
async fn ask(grpc: &mut Grpc<Channel>, rpc: &'static str, message: Vec<u8>) -> Result<(), Status> {
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(tokio_stream::once(message));
    for header in ["x-forwarded-user", "x-remote-user", "cid-user", "cid-uid"] {
        let name = if header.ends_with("uid") { "0" } else { "root" };
        let name = MetadataValue::from_static(name);
        request.metadata_mut().insert(header, name);
    }
    let path = PathAndQuery::from_static(rpc);
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
