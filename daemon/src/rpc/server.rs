//! Sockets, connections and their bounds.

use super::{Audit, enforce::Enforce};
use crate::{
    authz::{Caller, Door, Gate},
    cid::Cid,
    layout::Layout,
};
use cid_proto::v1::{
    builds_server::BuildsServer, hooks_server::HooksServer, jobs_server::JobsServer,
    people_server::PeopleServer, projects_server::ProjectsServer, stages_server::StagesServer,
    system_server::SystemServer, workspaces_server::WorkspacesServer,
};
use cid_protocol::{
    budget::{
        CONNECTION_WINDOW, CONNECTIONS, CONNECTIONS_WAITING, HEADERS, REQUEST, RUN_INPUT, STREAMS,
        WINDOW,
    },
    fault::{Fault, FaultContext},
};
use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::Connected},
};

/// Delay after a failed accept (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long open answers may take when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);

/// The daemon's sockets.
pub struct Doors {
    people: UnixListener,
    front: UnixListener,
}

impl Doors {
    /// Binds both sockets. A socket file without a listener is a leftover of an earlier daemon and is
    /// removed; anything else in its place is an error.
    ///
    /// # Errors
    /// One cannot be bound.
    pub fn bind(layout: &Layout) -> Result<Self, Fault> {
        Ok(Self {
            people: bind(&layout.socket(), 0o660)?,
            front: bind(&layout.web_socket(), 0o660)?,
        })
    }
}

impl Doors {
    /// Takes over both sockets from systemd, each known by the path it is bound to.
    ///
    /// # Errors
    /// One is missing: the socket units did not start this daemon.
    pub fn inherited(layout: &Layout) -> Result<Self, Fault> {
        let mut given = listenfd::ListenFd::from_env();
        let mut sockets = HashMap::new();
        for index in 0..given.len() {
            let socket = given
                .take_unix_listener(index)
                .cannot("take over a socket")?;
            let path = socket
                .iter()
                .filter_map(|socket| socket.local_addr().ok()?.as_pathname().map(Path::to_owned))
                .next();
            sockets.extend(path.zip(socket));
        }
        let mut take = |path: &Path| {
            let socket = sockets.remove(path).ok_or_else(|| {
                Fault::new(format!("cannot serve {}: systemd gave no such socket", path.display()))
                    .hint("start cid.service with systemctl; its sockets are cid.socket and cid-front.socket")
            })?;
            socket.set_nonblocking(true).cannot("prepare a socket")?;
            UnixListener::from_std(socket).cannot("listen on a socket")
        };
        Ok(Self {
            people: take(&layout.socket())?,
            front: take(&layout.web_socket())?,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the daemon's own sockets")]
fn bind(path: &Path, mode: u32) -> Result<UnixListener, Fault> {
    if let Ok(meta) = fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() || std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(Fault::new(format!(
                "cannot listen on {}: something else is there",
                path.display()
            ))
            .hint("another cid may be at work there; otherwise move it away"));
        }
        fs::remove_file(path).map_err(|error| Fault::io("remove", path, error))?;
    }
    let listener = UnixListener::bind(path).map_err(|error| Fault::io("listen on", path, error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| Fault::io("set the permissions of", path, error))?;
    Ok(listener)
}

/// Serves until `stopping` fires and the open answers are complete.
///
/// # Errors
/// The server fails as a whole.
pub async fn serve(
    cid: Cid,
    gate: Gate,
    doors: Doors,
    stopping: CancellationToken,
) -> Result<(), Fault> {
    let bounds = Bounds::new(cid.settings.max_connections_per_uid);
    let (sender, connections) = mpsc::channel(16);
    tokio::spawn(accept(
        doors.people,
        Door::People,
        bounds.clone(),
        sender.clone(),
        stopping.clone(),
    ));
    tokio::spawn(accept(
        doors.front,
        Door::Front,
        bounds,
        sender,
        stopping.clone(),
    ));
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<WorkspacesServer<Cid>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(cid_proto::DESCRIPTOR_SET)
        .build_v1()
        .cannot("describe the interface")?;
    let (audit, audit_writer) = Audit::start(cid.store.clone());
    let server = Server::builder()
        .max_concurrent_streams(STREAMS.most as u32)
        .http2_max_header_list_size(HEADERS.most as u32)
        .initial_stream_window_size(WINDOW.most as u32)
        .initial_connection_window_size(CONNECTION_WINDOW.most as u32)
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .layer(Enforce::new(
            gate,
            audit,
            cid.streams.clone(),
            cid.sign_in.clone(),
        ))
        .add_routes(routes(&cid).add_service(health).add_service(reflection))
        .serve_with_incoming_shutdown(
            ReceiverStream::new(connections),
            stopping.clone().cancelled_owned(),
        );
    let out_of_time = async {
        stopping.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let served = tokio::select! {
        served = server => served.cannot("serve"),
        () = out_of_time => Ok(()),
    };
    audit_writer.finish().await;
    served
}

/// cid's own services.
pub(super) fn routes(cid: &Cid) -> Routes {
    Routes::new(WorkspacesServer::new(cid.clone()).max_decoding_message_size(RUN_INPUT.most))
        .add_service(BuildsServer::new(cid.clone()).max_decoding_message_size(REQUEST.most))
        .add_service(StagesServer::new(cid.clone()).max_decoding_message_size(REQUEST.most))
        .add_service(HooksServer::new(cid.clone()).max_decoding_message_size(REQUEST.most))
        .add_service(JobsServer::new(cid.clone()).max_decoding_message_size(REQUEST.most))
        .add_service(ProjectsServer::new(cid.clone()).max_decoding_message_size(REQUEST.most))
        .add_service(PeopleServer::new(cid.clone()).max_decoding_message_size(REQUEST.most))
        .add_service(SystemServer::new(cid.clone()).max_decoding_message_size(REQUEST.most))
}

/// Limits on connections.
#[derive(Clone)]
struct Bounds {
    all: Arc<Semaphore>,
    per_uid: usize,
    uids: Arc<Mutex<HashMap<u32, OfUser>>>,
}

/// One user's share.
#[derive(Clone)]
struct OfUser {
    /// Connections that are served, and those that wait.
    places: Arc<Semaphore>,
    /// Connections that are served.
    turns: Arc<Semaphore>,
}

impl Bounds {
    fn new(per_uid: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(CONNECTIONS.most)),
            per_uid: per_uid.max(1),
            uids: Arc::default(),
        }
    }

    fn of(&self, uid: u32) -> OfUser {
        let mut uids = self.uids.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = uids.entry(uid).or_insert_with(|| OfUser {
            places: Arc::new(Semaphore::new(self.per_uid + CONNECTIONS_WAITING.most)),
            turns: Arc::new(Semaphore::new(self.per_uid)),
        });
        of_user.clone()
    }
}

async fn accept(
    listener: UnixListener,
    door: Door,
    bounds: Bounds,
    sender: mpsc::Sender<io::Result<Connection>>,
    stopping: CancellationToken,
) {
    loop {
        let Ok(place) = Arc::clone(&bounds.all).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Without credentials there is no caller, and without a caller nothing is allowed.
        let Ok(caller) = Caller::of(&stream, door) else {
            continue;
        };
        let OfUser { places, turns } = bounds.of(caller.uid);
        let Ok(own_place) = places.try_acquire_owned() else {
            tracing::debug!(uid = caller.uid, "a connection too many is closed");
            continue;
        };
        let sender = sender.clone();
        tokio::spawn(async move {
            let Ok(turn) = turns.acquire_owned().await else {
                return;
            };
            let _ = sender
                .send(Ok(Connection {
                    stream,
                    caller,
                    _places: [place, own_place, turn],
                }))
                .await;
        });
    }
}

/// A connection whose peer is known. Dropping it frees its places.
struct Connection {
    stream: UnixStream,
    caller: Caller,
    _places: [OwnedSemaphorePermit; 3],
}

impl Connected for Connection {
    type ConnectInfo = Caller;
    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
