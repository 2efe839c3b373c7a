//! What is known of all processes. cid's part of supervisord connects to the daemon and sends each change.
//! When the connection is lost, all states are read again.

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
/// Pause between attempts to reach a supervisord that does not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// Pause between checks whether a supervisord without cid's part was restarted with it.
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// What a change caused is sent before its answer.
const SEEN_LIMIT: Duration = Duration::from_secs(2);
/// One line describes one group: 20 processes of 300 bytes.
const LINE_LIMIT: u64 = 64 * 1024;

/// What is known of all processes; kept up to date while this lives.
pub(super) struct Link {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    rpc: Rpc,
    socket: PathBuf,
    known: watch::Sender<Known>,
    /// Held while connecting.
    listener: Mutex<Option<UnixListener>>,
    stopping: CancellationToken,
}

/// Everything received.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Whether changes are being sent.
    is_live: bool,
    /// The number of the last line received.
    told: u64,
    groups: Groups,
}

impl Link {
    /// Begins to watch the supervisord behind this socket. Must be called inside a tokio runtime.
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

    /// What `of` computes from all processes. If changes are not sent, supervisord is asked.
    pub(super) async fn look<R>(&self, of: impl FnOnce(&Groups) -> R) -> Result<R, RpcError> {
        match self.shared.connect().await? {
            true => Ok(of(&self.shared.known.borrow().groups)),
            false => {
                let all: Vec<dxr::Value> = self.shared.rpc.call("getAllProcessInfo", ()).await?;
                Ok(of(&told::plain(&all)))
            }
        }
    }

    /// Whether changes are sent.
    pub(super) async fn is_told(&self) -> Result<bool, RpcError> {
        self.shared.connect().await
    }

    /// Waits until this many lines have been received: those that an answer refers to.
    pub(super) async fn seen(&self, told: u64) {
        self.wait(|known| known.told >= told).await;
    }

    /// Waits until the removal of a group has been received.
    pub(super) async fn seen_gone(&self, group: &str) {
        self.wait(|known| !known.groups.contains_key(group)).await;
    }

    async fn wait(&self, is_known: impl Fn(&Known) -> bool) {
        let mut known = self.shared.known.subscribe();
        let waiting = known.wait_for(|known| !known.is_live || is_known(known));
        // On timeout the connection is stuck. Answering the caller matters more.
        drop(timeout(SEEN_LIMIT, waiting).await);
    }
}

impl Shared {
    /// Whether changes are sent; connects if possible. `false`: supervisord runs without cid's part, or with
    /// another version of it.
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
        // A socket of an earlier daemon.
        fs::remove_file(&self.socket).map_err(|fault| io::Error::other(fault.message))?;
        UnixListener::bind(&self.socket)
    }

    fn cannot(&self, error: &dyn std::fmt::Display) -> RpcError {
        RpcError::Unreachable(format!("{}: {error}", self.socket.display()))
    }

    /// Receives changes until the connection ends.
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

/// Reconnects whenever the connection is lost, so that changes are received even if nobody asks.
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

/// Accepts the connection that begins with the token; others are closed.
async fn accept(listener: &UnixListener, token: &str) -> io::Result<BufReader<UnixStream>> {
    loop {
        let (stream, _) = listener.accept().await?;
        let mut lines = BufReader::new(stream);
        if line(&mut lines).await.is_ok_and(|line| line == token) {
            return Ok(lines);
        }
    }
}

/// One line without its line feed.
async fn line(lines: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut line = String::new();
    lines.take(LINE_LIMIT).read_line(&mut line).await?;
    match line.pop() {
        Some('\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
