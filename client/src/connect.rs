//! The connection to the daemon: HTTP/2 over its Unix socket.

use crate::{Error, Result};
use hyper_util::rt::TokioIo;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{net::UnixStream, time::timeout};
use tonic::transport::{Channel, Endpoint, Uri};

/// How long dialling may take.
const DIAL_LIMIT: Duration = Duration::from_secs(5);
/// How many bytes of headers an answer may have. They include the details of a refusal, and so all work
/// that would be lost.
const MAX_HEADER_LIST: u32 = 4 * 1024 * 1024;
/// How much of a stream may wait unread. One that is not read must not take the room of the others: all calls of the
/// web front share a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
/// How often the daemon is asked whether it is there while an answer is waited for. systemd takes connections in its
/// place, so one that was killed before it took this one closes nothing.
const PING_PAUSE: Duration = Duration::from_secs(5);
/// How long it may take to say so: a busy machine is slow.
const PING_LIMIT: Duration = Duration::from_secs(10);
/// The same of all streams together: more than the front holds open at once.
const CONNECTION_WINDOW: u32 = 1024 * STREAM_WINDOW;

/// The socket could not be connected to. A type of its own, so that it can be
/// told from a connection that broke.
#[derive(Debug, thiserror::Error)]
#[error("{}", reason(.0))]
pub(crate) struct DialError(io::Error);

impl DialError {
    /// One of this kind.
    #[cfg(test)]
    pub(crate) fn of(kind: io::ErrorKind) -> Self {
        Self(kind.into())
    }

    /// Whether the socket is there and closed to this user.
    pub(crate) fn is_refusal(&self) -> bool {
        self.0.kind() == io::ErrorKind::PermissionDenied
    }
}

/// A channel that dials now, and again whenever its connection is gone.
pub(crate) async fn dial(socket: &Path) -> Result<Channel> {
    endpoint()
        .connect_with_connector(connector(socket))
        .await
        .map_err(|error| Error::unreachable(socket, &error))
}

/// A channel that dials at the first call, and again whenever its connection is gone.
pub(crate) fn dial_later(socket: &Path) -> Channel {
    endpoint().connect_with_connector_lazy(connector(socket))
}

fn endpoint() -> Endpoint {
    // gRPC wants an authority; over a Unix socket nobody resolves it.
    Endpoint::from_static("http://cid.localhost")
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_PAUSE)
        .keep_alive_timeout(PING_LIMIT)
}

fn connector(
    socket: &Path,
) -> impl tower::Service<
    Uri,
    Response = TokioIo<UnixStream>,
    Error = DialError,
    Future = impl Future<Output = Result<TokioIo<UnixStream>, DialError>> + Send,
> + Send
+ 'static {
    let socket = socket.to_owned();
    tower::service_fn(move |_: Uri| connect(socket.clone()))
}

async fn connect(socket: PathBuf) -> Result<TokioIo<UnixStream>, DialError> {
    match timeout(DIAL_LIMIT, UnixStream::connect(&socket)).await {
        Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
        Ok(Err(error)) => Err(DialError(error)),
        Err(_elapsed) => Err(DialError(io::ErrorKind::TimedOut.into())),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens on it".to_owned(),
        io::ErrorKind::PermissionDenied => "you may not open it".to_owned(),
        io::ErrorKind::TimedOut => {
            format!("no connection within {} s", DIAL_LIMIT.as_secs())
        }
        _ => error.to_string(),
    }
}
