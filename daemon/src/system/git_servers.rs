//! Access to git servers: few connections at a time to each, one kept for later requests, and a new one when
//! one is lost.

use super::{
    helpers::{Call, Identity, Launcher},
    queue::{Queues, Resource, Turn},
};
use crate::domain::ProjectName;
use async_trait::async_trait;
use cid_protocol::{
    fault::{Fault, Lost},
    request::{Remote, Request},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// The pause after the first loss. Each further pause is twice as long, up to [`GROWTH`] times.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const GROWTH: u32 = 20;
/// Number of attempts to reach a server that cannot be reached at all. A server that broke off is retried as
/// long as there is time.
const TRIES: u32 = 3;
/// How long a helper may take to hang up.
const HANG_UP_LIMIT: Duration = Duration::from_secs(10);

/// A [`Launcher`] that limits and retries connections to git servers.
pub struct GitServers {
    helpers: Arc<dyn Launcher>,
    queues: Arc<Queues>,
    kept: Mutex<Vec<Kept>>,
    first_pause: Duration,
}

/// An unused connection: its job may need it again, and others may take its place.
struct Kept {
    server: String,
    job: Uuid,
    identity: Identity,
    turn: Turn,
}

impl GitServers {
    /// Before these helpers.
    pub fn new(helpers: Arc<dyn Launcher>, queues: Arc<Queues>) -> Self {
        Self {
            helpers,
            queues,
            kept: Mutex::default(),
            first_pause: FIRST_PAUSE,
        }
    }

    /// The job's own connection, or a place for another one.
    async fn turn(&self, server: &str, call: &Call) -> Result<Turn, Fault> {
        let is_own = |kept: &mut Kept| {
            kept.server == server && kept.job == call.job && kept.identity == call.identity
        };
        if let Some(own) = self.kept().extract_if(.., is_own).next() {
            return Ok(own.turn);
        }
        let resource = Resource::GitServer(server.to_owned());
        let entry = self.queues.enter(resource.clone(), &call.who);
        // Only now, so that one that is kept from now on sees that it is wanted.
        if self.queues.is_wanted(&resource) {
            self.give_up_one(server).await;
        }
        entry.come(&call.cancel).await
    }

    /// Keeps the connection, unless somebody waits for its place.
    async fn keep(&self, server: &str, call: &Call, turn: Turn) {
        self.kept().push(Kept {
            server: server.to_owned(),
            job: call.job,
            identity: call.identity.clone(),
            turn,
        });
        if self
            .queues
            .is_wanted(&Resource::GitServer(server.to_owned()))
        {
            self.give_up_one(server).await;
        }
    }

    /// Ends the connection that has been kept longest.
    async fn give_up_one(&self, server: &str) {
        let of_server = |kept: &mut Kept| kept.server == server;
        let kept = self.kept().extract_if(.., of_server).next();
        if let Some(kept) = kept {
            self.hang_up(kept.job, &kept.identity).await;
        }
    }

    async fn again(&self, server: &str, call: &Call, request: Request) -> Result<Value, Fault> {
        let (begin, waited) = (Instant::now(), call.who.waited());
        let mut call = call.clone();
        let (limit, mut tries) = (call.limit, 0);
        loop {
            let turn = self.turn(server, &call).await?;
            let result = self.helpers.call(&call, request.clone()).await;
            let Err(fault) = result else {
                self.keep(server, &call, turn).await;
                return result;
            };
            let Some(lost) = fault.lost else {
                self.keep(server, &call, turn).await;
                return Err(fault);
            };
            // What is left of it must not be used again, and others may try meanwhile.
            self.hang_up(call.job, &call.identity).await;
            drop(turn);
            tries += 1;
            let waiting = call.who.waited().saturating_sub(waited);
            let worked = begin.elapsed().saturating_sub(waiting);
            let pause = pause(self.first_pause, tries);
            let left = limit.saturating_sub(worked + pause);
            if left < Duration::from_secs(1) || (lost == Lost::Server && tries >= TRIES) {
                return Err(tried(fault, tries));
            }
            let line = format!("{fault}; trying again in {:.1} s", pause.as_secs_f64());
            let _ = call.lines.send(line).await;
            tokio::select! {
                () = sleep(pause) => {}
                () = call.cancel.cancelled() => return Err(Fault::cancelled()),
            }
            call.limit = Duration::from_secs(left.as_secs());
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, job: Uuid) {
        let gone: Vec<Kept> = self.kept().extract_if(.., |kept| kept.job == job).collect();
        drop(gone);
    }
}

/// Between half and all of it, so that callers rejected together do not return together.
fn pause(first: Duration, tries: u32) -> Duration {
    let half = first * 2_u32.saturating_pow(tries - 1).min(GROWTH) / 2;
    // The last bytes are random.
    let share = Uuid::now_v7().as_bytes()[15];
    half + half * u32::from(share) / 255
}

fn tried(fault: Fault, tries: u32) -> Fault {
    if tries < 2 {
        return fault;
    }
    let message = format!("{} (tried {tries} times)", fault.message);
    Fault { message, ..fault }
}

/// `HOST` or `HOST:PORT`; `None`: a repository on this machine's own disk.
fn server(remote: &Remote) -> Option<String> {
    let url = remote.url.as_str();
    if url.starts_with('/') || url.starts_with("file:") {
        return None;
    }
    let (scheme, authority) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, rest.split('/').next().unwrap_or_default()),
        None => ("ssh", url.split(':').next().unwrap_or_default()),
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let usual = match scheme {
        "https" => ":443",
        _ => ":22",
    };
    Some(
        host.strip_suffix(usual)
            .unwrap_or(host)
            .to_ascii_lowercase(),
    )
}

#[async_trait]
impl Launcher for GitServers {
    async fn call(&self, call: &Call, request: Request) -> Result<Value, Fault> {
        match request.remote().and_then(server) {
            Some(server) => self.again(&server, call, request).await,
            None => self.helpers.call(call, request).await,
        }
    }

    async fn hang_up(&self, job: Uuid, identity: &Identity) {
        let asked = self.helpers.hang_up(job, identity);
        if timeout(HANG_UP_LIMIT, asked).await.is_err() {
            tracing::warn!(%job, "a helper has not hung up");
        }
    }

    async fn prepare(&self, job: Uuid, identity: Identity) {
        self.helpers.prepare(job, identity).await;
    }

    async fn look_over(&self, projects: &BTreeSet<ProjectName>) {
        self.helpers.look_over(projects).await;
    }

    fn strays(&self) -> BTreeSet<Uuid> {
        self.helpers.strays()
    }

    async fn end_builds(&self, project: &ProjectName) -> Result<(), Fault> {
        self.helpers.end_builds(project).await
    }

    async fn stop(&self) {
        self.helpers.stop().await;
        drop(mem::take(&mut *self.kept()));
    }

    /// The connections end with their helpers.
    async fn end(&self, job: Uuid) -> Result<(), Fault> {
        let ended = self.helpers.end(job).await;
        self.forget(job);
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::queue::Who;
    use cid_protocol::request::DeleteBranch;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    /// A server that loses the first connections, counts the open ones and is not quick.
    #[derive(Default)]
    struct Server {
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        losses: u32,
        lost: Option<Lost>,
        asked: u32,
        open: BTreeSet<Uuid>,
        most: usize,
        hung_up: u32,
    }

    #[async_trait]
    impl Launcher for Server {
        async fn call(&self, call: &Call, _: Request) -> Result<Value, Fault> {
            {
                let mut state = self.state.lock().unwrap();
                state.open.insert(call.job);
                state.most = state.most.max(state.open.len());
                state.asked += 1;
            }
            sleep(Duration::from_millis(5)).await;
            let state = self.state.lock().unwrap();
            if state.asked <= state.losses {
                return Err(Fault {
                    lost: state.lost,
                    ..Fault::new("cannot push: lost")
                });
            }
            Ok(Value::Null)
        }

        async fn hang_up(&self, job: Uuid, _: &Identity) {
            let mut state = self.state.lock().unwrap();
            state.open.remove(&job);
            state.hung_up += 1;
        }

        async fn end(&self, job: Uuid) -> Result<(), Fault> {
            self.state.lock().unwrap().open.remove(&job);
            Ok(())
        }
    }

    fn remote(url: &str) -> Remote {
        Remote {
            url: url.into(),
            identity_file: None,
            known_hosts: None,
            credential_file: None,
        }
    }

    fn request() -> Request {
        Request::DeleteBranch(DeleteBranch {
            mirror: "/m".into(),
            remote: remote("git@git.example.org:shop.git"),
            branch: "b".into(),
            expected: "c".into(),
        })
    }

    fn call() -> (Call, mpsc::Receiver<String>) {
        let (lines, said) = mpsc::channel(64);
        let project = ProjectName::parse("shop").unwrap();
        let call = Call {
            job: Uuid::now_v7(),
            identity: Identity::Git(project.clone()),
            limit: Duration::from_secs(3),
            lines,
            cancel: CancellationToken::new(),
            who: Arc::new(Who::cid(Some(project), "push")),
        };
        (call, said)
    }

    fn servers(state: State, connections: usize) -> (Arc<Server>, Arc<GitServers>) {
        let server = Arc::new(Server {
            state: Mutex::new(state),
        });
        let helpers: Arc<dyn Launcher> = Arc::clone(&server) as _;
        let queues = Arc::new(Queues::new(1, connections));
        let servers = GitServers {
            first_pause: Duration::from_millis(10),
            ..GitServers::new(helpers, queues)
        };
        (server, Arc::new(servers))
    }

    #[tokio::test]
    async fn a_burst_has_few_connections_and_loses_nothing() {
        let (server, servers) = servers(State::default(), 4);
        let jobs: Vec<_> = (0..20)
            .map(|_| {
                let servers = Arc::clone(&servers);
                tokio::spawn(async move {
                    let (call, _said) = call();
                    // The second one has the connection of the first, if nobody has wanted it.
                    servers.call(&call, request()).await.unwrap();
                    servers.call(&call, request()).await.unwrap();
                    servers.end(call.job).await.unwrap();
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
        let state = server.state.lock().unwrap();
        assert_eq!(state.most, 4);
        assert_eq!(state.asked, 40);
        assert!(servers.kept().is_empty());
        assert!(
            !servers
                .queues
                .is_wanted(&Resource::GitServer("git.example.org".into()))
        );
    }

    #[tokio::test]
    async fn a_connection_is_kept_until_another_wants_its_place() {
        let (server, servers) = servers(State::default(), 1);
        let (first, _said) = call();
        servers.call(&first, request()).await.unwrap();
        servers.call(&first, request()).await.unwrap();
        assert_eq!(server.state.lock().unwrap().hung_up, 0);
        let (second, _said) = call();
        servers.call(&second, request()).await.unwrap();
        {
            let state = server.state.lock().unwrap();
            assert_eq!((state.hung_up, state.most), (1, 1));
        }
        servers.end(second.job).await.unwrap();
        assert!(servers.kept().is_empty());
    }

    #[tokio::test]
    async fn what_was_lost_is_tried_again_and_said() {
        let state = State {
            losses: 5,
            lost: Some(Lost::Connection),
            ..State::default()
        };
        let (server, servers) = servers(state, 4);
        let (call, mut said) = call();
        servers.call(&call, request()).await.unwrap();
        assert_eq!(server.state.lock().unwrap().asked, 6);
        let line = said.recv().await.unwrap();
        assert!(
            line.starts_with("cannot push: lost; trying again in 0.0"),
            "{line}"
        );
    }

    #[tokio::test]
    async fn a_no_is_asked_for_once_and_nobody_only_some_times() {
        for (lost, asked) in [(None, 1), (Some(Lost::Server), TRIES)] {
            let state = State {
                losses: 100,
                lost,
                ..State::default()
            };
            let (server, servers) = servers(state, 4);
            let (call, _said) = call();
            let fault = servers.call(&call, request()).await.unwrap_err();
            assert_eq!(server.state.lock().unwrap().asked, asked);
            assert_eq!(fault.message.contains("tried 3 times"), asked > 1);
        }
    }

    #[tokio::test]
    async fn it_ends_within_the_limit_and_with_a_cancel() {
        let state = || State {
            losses: 1000,
            lost: Some(Lost::Connection),
            ..State::default()
        };
        let (_, servers) = servers(state(), 4);
        let (call, mut said) = call();
        let begin = Instant::now();
        servers.call(&call, request()).await.unwrap_err();
        assert!(begin.elapsed() <= call.limit, "{:?}", begin.elapsed());
        while said.try_recv().is_ok() {}
        let cancel = call.cancel.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(50)).await;
            cancel.cancel();
        });
        let fault = servers.call(&call, request()).await.unwrap_err();
        assert!(fault.cancelled);
    }

    #[test]
    fn a_server_is_its_host_and_port() {
        for (url, expected) in [
            ("https://u:t@Git.example.org/a.git", Some("git.example.org")),
            ("https://git.example.org:443/a", Some("git.example.org")),
            (
                "https://git.example.org:8443/a",
                Some("git.example.org:8443"),
            ),
            ("ssh://git@h:2222/a", Some("h:2222")),
            ("ssh://git@h:22/a", Some("h")),
            ("git@h:team/a.git", Some("h")),
            ("/srv/a.git", None),
            ("file:///srv/a.git", None),
        ] {
            assert_eq!(server(&remote(url)).as_deref(), expected, "{url}");
        }
    }
}
