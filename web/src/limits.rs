use crate::{app::App, error::Problem, i18n::Lang};
use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

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
/// How many progress streams one session may take.
pub const STREAMS_OF_SESSION: usize = 16;
/// How many logs may be followed at once: the daemon lets all its callers read a few more.
pub const LOGS: usize = 96;
/// How many of these one session may take.
pub const LOGS_OF_SESSION: usize = 4;
/// How many looks for work there may be at once. Each waits for the remotes of a workspace.
pub const LOOKS: usize = 8;
/// How long such a look may take.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(160);
/// How many webhooks are passed on at once; others wait for a moment.
pub const HOOKS: usize = 16;
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
    /// How many forms were submitted lately.
    pub forms: crate::rate::Rate,
    requests: Semaphore,
    looks: Semaphore,
    streams: Arc<Semaphore>,
    /// For webhooks.
    pub hooks: Arc<Semaphore>,
    logs: Arc<Semaphore>,
    of: Of,
}

/// How many places of each kind each session has.
type Of = Arc<Mutex<HashMap<(Stream, String), usize>>>;

/// What stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// A job's progress.
    Progress,
    /// What a process writes.
    Log,
}

/// One of the places for streams, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
    /// Of a session.
    of: Option<(Of, (Stream, String))>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((of, key)) = &self.of else { return };
        let mut of = of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                of.remove(key);
            }
        }
    }
}

impl Places {
    /// Takes a place for one more stream of this session's, or of a visitor's without one; `None`: there are as
    /// many as there may be.
    pub fn stream(&self, kind: Stream, session: Option<&str>) -> Option<Place> {
        let (all, most) = match kind {
            Stream::Progress => (&self.streams, STREAMS_OF_SESSION),
            Stream::Log => (&self.logs, LOGS_OF_SESSION),
        };
        let place = Arc::clone(all).try_acquire_owned().ok()?;
        let Some(session) = session else {
            return Some(Place {
                _place: place,
                of: None,
            });
        };
        let key = (kind, session.to_owned());
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of.entry(key.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place {
            _place: place,
            of: Some((Arc::clone(&self.of), key)),
        })
    }
}

impl Default for Places {
    fn default() -> Self {
        Self {
            forms: crate::rate::Rate::default(),
            requests: Semaphore::new(REQUESTS),
            looks: Semaphore::new(LOOKS),
            streams: Arc::new(Semaphore::new(STREAMS)),
            logs: Arc::new(Semaphore::new(LOGS)),
            of: Arc::default(),
            hooks: Arc::new(Semaphore::new(HOOKS)),
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
    admit_to(&app.places.requests, REQUEST_TIMEOUT, lang, request, next).await
}

/// The same for requests that look for work in a workspace.
pub async fn admit_look(
    State(app): State<App>,
    lang: Lang,
    request: Request,
    next: Next,
) -> Response {
    admit_to(&app.places.looks, LOOK_TIMEOUT, lang, request, next).await
}

async fn admit_to(
    places: &Semaphore,
    limit: Duration,
    lang: Lang,
    request: Request,
    next: Next,
) -> Response {
    let work = async {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_BYTES)
            .await
            .map_err(|_| Problem::BadForm(StatusCode::PAYLOAD_TOO_LARGE))?;
        // The semaphore is never closed; were it, nobody would be let in.
        let place = places.acquire().await;
        let _place = place.map_err(|_| Problem::Busy)?;
        Ok(next.run(Request::from_parts(parts, body.into())).await)
    };
    match timeout(limit, work).await.unwrap_or(Err(Problem::Busy)) {
        Ok(response) => response,
        Err(problem) => problem.page(lang),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_leaves_places_to_others_and_gives_its_own_back() {
        let places = Places::default();
        for (kind, most) in [
            (Stream::Log, LOGS_OF_SESSION),
            (Stream::Progress, STREAMS_OF_SESSION),
        ] {
            let take = |session| places.stream(kind, Some(session));
            let mut held: Vec<Place> = (0..most).map(|_| take("a").unwrap()).collect();
            assert!(take("a").is_none());
            assert!(take("b").is_some());
            held.pop();
            assert!(take("a").is_some());
        }
        assert!(places.of.lock().unwrap().is_empty());
        // Visitors without a session share what there is.
        let all: Vec<_> = (0..STREAMS)
            .map(|_| places.stream(Stream::Progress, None).unwrap())
            .collect();
        assert!(places.stream(Stream::Progress, Some("a")).is_none());
        drop(all);
        assert!(places.stream(Stream::Progress, Some("a")).is_some());
    }
}
