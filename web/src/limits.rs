use crate::{app::App, error::Problem, rate::network, visitor::session_of};
use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    collections::HashMap,
    net::IpAddr,
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
/// How many of the requests that are worked on may be of one session.
pub const REQUESTS_OF_SESSION: usize = 16;
/// How many of such looks.
pub const LOOKS_OF_SESSION: usize = 2;
/// After how many seconds a session that has too much under way may ask again.
const SESSION_PAUSE: u64 = 2;
/// How many webhooks are passed on at once; others wait for a moment.
pub const HOOKS: usize = 16;
/// How many of one client's: a client that sends slowly keeps no others out.
pub const HOOKS_OF_CLIENT: usize = 4;
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
    hooks: Arc<Semaphore>,
    hooks_of: Mutex<HashMap<Option<IpAddr>, Arc<Semaphore>>>,
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
    /// Not a stream: a page that is being made.
    Page,
    /// Likewise, and it waits for remotes.
    Look,
}

impl Stream {
    fn most_of_session(self) -> usize {
        match self {
            Self::Progress => STREAMS_OF_SESSION,
            Self::Log => LOGS_OF_SESSION,
            Self::Page => REQUESTS_OF_SESSION,
            Self::Look => LOOKS_OF_SESSION,
        }
    }
}

/// One of the places that a session has, given back when it is dropped.
#[derive(Debug)]
struct Own {
    of: Of,
    key: (Stream, String),
}

/// One of the places for streams, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
    _own: Option<Own>,
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                of.remove(&self.key);
            }
        }
    }
}

impl Places {
    /// Takes a place for one more stream of this session's, or of a visitor's without one; `None`: there are as
    /// many as there may be.
    pub fn stream(&self, kind: Stream, session: Option<&str>) -> Option<Place> {
        let all = match kind {
            Stream::Log => &self.logs,
            Stream::Progress | Stream::Page | Stream::Look => &self.streams,
        };
        let place = Arc::clone(all).try_acquire_owned().ok()?;
        let own = match session {
            Some(session) => Some(self.own(kind, session)?),
            None => None,
        };
        Some(Place {
            _place: place,
            _own: own,
        })
    }

    fn own(&self, kind: Stream, session: &str) -> Option<Own> {
        let key = (kind, session.to_owned());
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of.entry(key.clone()).or_default();
        if *count >= kind.most_of_session() {
            return None;
        }
        *count += 1;
        let of = Arc::clone(&self.of);
        Some(Own { of, key })
    }
}

impl Places {
    /// Waits for a place for a webhook: first for one of this client's, then for one of all. `None` in no case that
    /// is known.
    pub async fn hook(&self, client: &str) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = {
            let mut of = self.hooks_of.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody of those has or awaits a place.
            of.retain(|_, places| Arc::strong_count(places) > 1);
            let places = of.entry(network(client));
            Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(HOOKS_OF_CLIENT))))
        };
        let own = own.acquire_owned().await.ok()?;
        let place = Arc::clone(&self.hooks).acquire_owned().await.ok()?;
        Some([own, place])
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
            hooks_of: Mutex::default(),
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
pub async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let places: &Places = &app.places;
    let of = (places, Stream::Page);
    admit_to(of, &places.requests, REQUEST_TIMEOUT, request, next).await
}

/// The same for requests that look for work in a workspace.
pub async fn admit_look(State(app): State<App>, request: Request, next: Next) -> Response {
    let places: &Places = &app.places;
    let of = (places, Stream::Look);
    admit_to(of, &places.looks, LOOK_TIMEOUT, request, next).await
}

async fn admit_to(
    (all, kind): (&Places, Stream),
    places: &Semaphore,
    limit: Duration,
    request: Request,
    next: Next,
) -> Response {
    // One session does not take what all share.
    let _own = match session_of(request.headers()) {
        None => None,
        Some(session) => match all.own(kind, &session) {
            None => return Problem::TooMany(SESSION_PAUSE).into_response(),
            own => own,
        },
    };
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
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;

    async fn soon<T>(future: impl Future<Output = T>) -> Option<T> {
        timeout(Duration::from_millis(100), future).await.ok()
    }

    #[test]
    fn a_session_leaves_places_to_others_and_gives_its_own_back() {
        let places = Places::default();
        for kind in [Stream::Log, Stream::Progress, Stream::Page, Stream::Look] {
            let most = kind.most_of_session();
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

    #[tokio::test]
    async fn a_client_takes_some_of_the_places_for_webhooks() {
        let places = Places::default();
        let mut taken = Vec::new();
        for number in 0..HOOKS_OF_CLIENT {
            // One network of IPv6 is one client.
            let place = soon(places.hook(&format!("2001:db8::{number}"))).await;
            taken.push(place.flatten().unwrap());
        }
        assert!(soon(places.hook("2001:db8::9")).await.is_none());
        assert!(soon(places.hook("192.0.2.1")).await.is_some());
        taken.pop();
        assert!(soon(places.hook("2001:db8::9")).await.is_some());
        drop(taken);
        drop(soon(places.hook("192.0.2.2")).await);
        assert!(places.hooks_of.lock().unwrap().len() <= 1);
    }
}
