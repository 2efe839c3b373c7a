use crate::{
    app::{App, router},
    args::Listen,
    limits,
};
use anyhow::{Context, bail};
use axum::Router;
use cid_client::Client;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::{fs::Mode, process::umask};
use std::{fs, io::ErrorKind, net, os, path::Path, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

/// A listener that is bound but not yet served, as no runtime may exist before the sandbox does.
#[derive(Debug)]
pub enum Bound {
    /// A Unix socket.
    Unix(os::unix::net::UnixListener),
    /// A TCP port.
    Tcp(net::TcpListener),
}

impl Bound {
    /// Binds where the command line says.
    pub fn bind(listen: &Listen) -> anyhow::Result<Self> {
        let bound = match listen {
            Listen::Unix(path) => {
                Self::Unix(bind_unix(path).with_context(|| format!("cannot listen on {listen}"))?)
            }
            Listen::Tcp(address) => Self::Tcp(
                net::TcpListener::bind(address)
                    .with_context(|| format!("cannot listen on {address}"))?,
            ),
        };
        match &bound {
            Self::Unix(listener) => listener.set_nonblocking(true)?,
            Self::Tcp(listener) => listener.set_nonblocking(true)?,
        }
        info!("listening on {listen}");
        Ok(bound)
    }
}

/// Binds a Unix socket for its owner and group, in the place of one that nobody serves any more.
fn bind_unix(path: &Path) -> anyhow::Result<os::unix::net::UnixListener> {
    match os::unix::net::UnixStream::connect(path) {
        Ok(_) => bail!("somebody answers there already"),
        Err(err) if err.kind() == ErrorKind::ConnectionRefused && is_socket(path) => {
            fs::remove_file(path).context("cannot remove the old socket")?;
        }
        // bind refuses to replace anything else in its place.
        Err(_) => {}
    }
    // Only root or the owner may change modes later, and between bind and chmod anybody could
    // connect; the mask has no such gap.
    let before = umask(Mode::from_raw_mode(0o117));
    let bound = os::unix::net::UnixListener::bind(path);
    umask(before);
    Ok(bound?)
}

fn is_socket(path: &Path) -> bool {
    use os::unix::fs::FileTypeExt;
    fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}

/// Serves until SIGTERM or SIGINT; then lets open requests end, for a while.
pub async fn serve(bound: Bound, daemon: &Path, max_connections: usize) -> anyhow::Result<()> {
    let (closing, closing_rx) = watch::channel(false);
    let router = router(App::new(Client::lazy(daemon), closing_rx.clone()));
    let door = Door {
        places: Arc::new(Semaphore::new(max_connections)),
        closing: closing_rx,
        router,
    };

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let accepting = async {
        match bound {
            Bound::Unix(listener) => {
                let listener = UnixListener::from_std(listener)?;
                door.keep(async || listener.accept().await.map(|(io, _)| io))
                    .await
            }
            Bound::Tcp(listener) => {
                let listener = TcpListener::from_std(listener)?;
                door.keep(async || listener.accept().await.map(|(io, _)| io))
                    .await
            }
        }
    };
    tokio::select! {
        result = accepting => match result? {},
        _ = terminate.recv() => info!("stopping: SIGTERM"),
        _ = interrupt.recv() => info!("stopping: SIGINT"),
    }
    closing.send_replace(true);
    let everybody = u32::try_from(max_connections).unwrap_or(u32::MAX);
    if timeout(limits::DRAIN, door.places.acquire_many(everybody))
        .await
        .is_err()
    {
        warn!("stopped with requests still open");
    }
    Ok(())
}

/// Lets connections in, as many as there are places.
struct Door {
    places: Arc<Semaphore>,
    closing: watch::Receiver<bool>,
    router: Router,
}

enum Never {}

impl Door {
    async fn keep<Io>(&self, accept: impl AsyncFn() -> std::io::Result<Io>) -> anyhow::Result<Never>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        loop {
            // Take a place first, then accept: without a free place visitors wait in the kernel's queue.
            let place = self.places.clone().acquire_owned().await?;
            let io = match accept().await {
                Ok(io) => io,
                Err(err) => {
                    // Mostly that the visitor has gone; when descriptors have run out, a pause
                    // keeps this from spinning.
                    debug!("cannot accept a connection: {err}");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let visit = visit(io, self.router.clone(), self.closing.clone());
            tokio::spawn(async move {
                visit.await;
                drop(place);
            });
        }
    }
}

async fn visit<Io>(io: Io, router: Router, mut closing: watch::Receiver<bool>)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Without a timer hyper's time-outs do nothing.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIMEOUT)
        .max_buf_size(limits::HEADER_BYTES)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => {
            if let Err(err) = result {
                debug!("a connection broke: {err}");
            }
            return;
        }
        _ = closing.wait_for(|closing| *closing) => {}
        () = sleep(limits::CONNECTION_LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits::DRAIN, connection).await;
}
