//! What is known of all processes: cid's part of supervisord tells each change on a connection that it makes
//! to the daemon. When the connection is lost, all states are read anew.

use super::{
    rpc::{Rpc, RpcError, code},
    told::{self, Change, Groups, Snapshot, VERSION},
};
use cid_kernel::fs;
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Mutex, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// supervisord has connected before it answers.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Between two tries to reach a supervisord that does not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks whether a supervisord without cid's part was restarted with it.
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// What a change made is told before its answer comes.
const SEEN_LIMIT: Duration = Duration::from_secs(2);
/// A line tells one group: 20 processes of 300 bytes.
const LINE_LIMIT: u64 = 64 * 1024;

/// What is known of all processes, kept up to date as long as this lives.
pub(super) struct Link {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    rpc: Rpc,
    socket: PathBuf,
    known: watch::Sender<Known>,
    /// Held by the one who connects.
    listener: Mutex<Option<UnixListener>>,
    stopping: CancellationToken,
}

/// All that was told.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Changes are being told.
    is_live: bool,
    /// The number of the last line.
    told: u64,
    groups: Groups,
}

impl Link {
    /// Begins to watch the supervisord behind this socket. Inside a tokio runtime.
    pub(super) fn start(rpc: Rpc, socket: PathBuf) -> Self {
        let stopping = CancellationToken::new();
        let shared = Arc::new(Shared {
            rpc,
            socket,
            known: watch::Sender::default(),
            listener: Mutex::default(),
            stopping: stopping.clone(),
        });
        tokio::spawn(keep_up(Arc::clone(&shared)));
        Self {
            shared,
            _stop: stopping.drop_guard(),
        }
    }

    /// What `of` makes of all processes. Where changes are not told, supervisord is asked.
    pub(super) async fn look<R>(&self, of: impl FnOnce(&Groups) -> R) -> Result<R, RpcError> {
        match self.shared.connect().await? {
            true => Ok(of(&self.shared.known.borrow().groups)),
            false => {
                let all: Vec<dxr::Value> = self.shared.rpc.call("getAllProcessInfo", ()).await?;
                Ok(of(&told::plain(&all)))
            }
        }
    }

    /// Whether changes are told.
    pub(super) async fn is_told(&self) -> Result<bool, RpcError> {
        self.shared.connect().await
    }

    /// Waits until what an answer speaks of is known here too: so many lines.
    pub(super) async fn seen(&self, told: u64) {
        self.wait(|known| known.told >= told).await;
    }

    /// Waits until a group that was removed is gone here too.
    pub(super) async fn seen_gone(&self, group: &str) {
        self.wait(|known| !known.groups.contains_key(group)).await;
    }

    async fn wait(&self, is_known: impl Fn(&Known) -> bool) {
        let mut known = self.shared.known.subscribe();
        let waiting = known.wait_for(|known| !known.is_live || is_known(known));
        // Not within the limit: a connection that is stuck. Nobody needs it more than an answer.
        drop(timeout(SEEN_LIMIT, waiting).await);
    }
}

impl Shared {
    /// Whether changes are told; connects where it can be done. `false`: supervisord runs without cid's part, or
    /// with one of another version.
    async fn connect(self: &Arc<Self>) -> Result<bool, RpcError> {
        if self.known.borrow().is_live {
            return Ok(true);
        }
        let mut listener = self.listener.lock().await;
        if self.known.borrow().is_live {
            return Ok(true);
        }
        let listener = match &mut *listener {
            Some(listener) => listener,
            none => none.insert(self.listen().map_err(|error| self.cannot(&error))?),
        };
        let token = Uuid::now_v7().to_string();
        let answer: Result<String, _> = self.rpc.call_own("watch", token.as_str()).await;
        let answer = match answer {
            Err(error) if error.is(code::UNKNOWN_METHOD) => return Ok(false),
            answer => answer?,
        };
        let snapshot: Snapshot =
            serde_json::from_str(&answer).map_err(|error| self.cannot(&error))?;
        if snapshot.version != VERSION {
            return Ok(false);
        }
        let lines = timeout(CONNECT_LIMIT, accept(listener, &token))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| self.cannot(&error))?;
        self.known.send_replace(Known {
            is_live: true,
            told: snapshot.told,
            groups: snapshot.groups(),
        });
        tokio::spawn(Arc::clone(self).read(lines));
        Ok(true)
    }

    fn listen(&self) -> io::Result<UnixListener> {
        // One of an earlier daemon's.
        fs::remove_file(&self.socket).map_err(|fault| io::Error::other(fault.message))?;
        UnixListener::bind(&self.socket)
    }

    fn cannot(&self, error: &dyn std::fmt::Display) -> RpcError {
        RpcError::Unreachable(format!("{}: {error}", self.socket.display()))
    }

    /// Takes changes in until the connection ends.
    async fn read(self: Arc<Self>, mut lines: BufReader<UnixStream>) {
        loop {
            let line = tokio::select! {
                line = line(&mut lines) => line,
                () = self.stopping.cancelled() => break,
            };
            let change = line.and_then(|line| Ok(serde_json::from_str::<Change>(&line)?));
            let Ok(change) = change else { break };
            self.known.send_modify(|known| {
                known.told = change.told;
                change.apply(&mut known.groups);
            });
        }
        self.known.send_modify(|known| known.is_live = false);
    }
}

/// Connects anew whenever the connection is lost, so that changes are told although nobody asks.
async fn keep_up(shared: Arc<Shared>) {
    let mut known = shared.known.subscribe();
    let lost = async {
        loop {
            match shared.connect().await {
                Ok(true) => drop(known.wait_for(|known| !known.is_live).await),
                Ok(false) => sleep(LONG_PAUSE).await,
                Err(_) => sleep(PAUSE).await,
            }
        }
    };
    tokio::select! {
        () = lost => {}
        () = shared.stopping.cancelled() => {}
    }
}

/// The connection that begins with the token; others are hung up on.
async fn accept(listener: &UnixListener, token: &str) -> io::Result<BufReader<UnixStream>> {
    loop {
        let (stream, _) = listener.accept().await?;
        let mut lines = BufReader::new(stream);
        if line(&mut lines).await.is_ok_and(|line| line == token) {
            return Ok(lines);
        }
    }
}

/// One line without its end.
async fn line(lines: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut line = String::new();
    lines.take(LINE_LIMIT).read_line(&mut line).await?;
    match line.pop() {
        Some('\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
