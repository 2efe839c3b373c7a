use crate::{app::App, error::Problem, i18n::Lang};
use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};

/// How long a client may take to send its request's headers; also how long an idle connection
/// stays open.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long any request but a stream may take, waiting for its turn and reading its body included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest form that is read.
pub const BODY_BYTES: usize = 8 * 1024;
/// How long a request's line and headers may be.
pub const HEADER_BYTES: usize = 16 * 1024;
/// How many requests are worked on at once; others wait.
pub const REQUESTS: usize = 64;
/// How many progress streams may be open at once; more are refused, and the page refreshes itself.
pub const STREAMS: usize = 256;
/// How often a quiet stream says that it is alive.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// After this a stream ends and the browser resumes it, so that nobody keeps one by forgetting it.
pub const STREAM_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// After this a connection is closed, also when the other side reads nothing of what it is sent.
pub const CONNECTION_LIFETIME: Duration = Duration::from_secs(16 * 60);
/// How long open requests may go on once the front was told to stop.
pub const DRAIN: Duration = Duration::from_secs(5);

const CONNECTIONS: u64 = 4096;
/// Descriptors that are not visitors: standard streams, the runtime's, the daemon's connection.
const RESERVED_FDS: u64 = 64;

/// The places there are for requests and streams.
#[derive(Debug)]
pub struct Places {
    requests: Semaphore,
    /// Taken by the stream itself, for as long as it is open.
    pub streams: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            requests: Semaphore::new(REQUESTS),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}

/// Asks for as many descriptors as this process may have, and answers how many connections they
/// allow, so that a crowd of slow clients waits at the door and never takes the last descriptor.
pub fn connections() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(CONNECTIONS * 2);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        if let Err(err) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!("cannot raise the limit of open files: {err}");
        }
    }
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = current.saturating_sub(RESERVED_FDS).clamp(16, CONNECTIONS);
    usize::try_from(connections).unwrap_or(16)
}

/// Lets a bounded number of requests in at a time, each for a bounded time.
///
/// A request's body is read before its turn comes: who sends slowly keeps only himself waiting.
pub async fn admit(State(app): State<App>, lang: Lang, request: Request, next: Next) -> Response {
    let work = async {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_BYTES)
            .await
            .map_err(|_| Problem::BadForm(StatusCode::PAYLOAD_TOO_LARGE))?;
        // The semaphore is never closed; were it, nobody would be let in.
        let place = app.places.requests.acquire().await;
        let _place = place.map_err(|_| Problem::Busy)?;
        Ok(next.run(Request::from_parts(parts, body.into())).await)
    };
    match timeout(REQUEST_TIMEOUT, work)
        .await
        .unwrap_or(Err(Problem::Busy))
    {
        Ok(response) => response,
        Err(problem) => problem.page(lang),
    }
}
