//! Looks at ports and pages, changes nothing.

pub use super::page::{Page, PageAnswer};
use super::{
    inside::AppSocket,
    listeners::{self, any_listener, listening, sockets_of},
    page, procs,
    supervisor::orphans,
};

use crate::{domain::UnitName, layout::Layout};
use async_trait::async_trait;
use cid_protocol::{
    fault::{Fault, FaultContext},
    run_file::RunFile,
};
use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// A listener of the loopback that does not take a connection within this time has too many.
const CONNECT_LIMIT: Duration = Duration::from_millis(100);

/// Where an app itself listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum App {
    /// On this port of 127.0.0.1.
    Port(u16),
    /// On the workspace's socket.
    Socket(AppSocket),
}

/// Looks at ports and pages.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Whether nobody listens on a port of the loopback (found out by binding it for a moment).
    fn port_is_free(&self, port: u16) -> bool;

    /// Whether anybody takes connections on a port of the loopback; found out by making one, as
    /// reading the kernel's table takes 12 ms on a machine with much memory.
    async fn is_open(&self, port: u16) -> bool;

    /// Whether an app takes connections: a socket that an earlier process left is there, and takes none.
    async fn takes(&self, app: &App) -> bool;

    /// Asks nginx for a page, as a browser that has these cookies (`NAME=VALUE; ...`); follows nothing.
    ///
    /// # Errors
    /// Nobody answers, or not within `limit`, or with another certificate than the page's.
    async fn ask(
        &self,
        page: Page<'_>,
        cookies: &str,
        limit: Duration,
    ) -> Result<PageAnswer, Fault>;

    /// The status code of a page, and the first KiB of its body.
    ///
    /// # Errors
    /// As [`Probe::ask`].
    async fn get(&self, page: Page<'_>, limit: Duration) -> Result<(u16, String), Fault> {
        let answer = self.ask(page, "", limit).await?;
        Ok((answer.status, answer.body))
    }

    /// Asks an app itself for a page, past nginx; gives the status code.
    ///
    /// # Errors
    /// It does not answer within `limit`, or may not be asked.
    async fn get_past_nginx(
        &self,
        app: &App,
        page: Page<'_>,
        limit: Duration,
    ) -> Result<u16, Fault>;

    /// The TCP addresses on which these processes or their descendants listen.
    fn listeners(&self, pids: &[u32]) -> Vec<SocketAddr>;

    /// Whether these processes or their descendants listen on this port: as [`Probe::listeners`], but
    /// quick.
    fn listen_on(&self, pids: &[u32], port: u16) -> bool {
        let listeners = self.listeners(pids);
        listeners.iter().any(|address| takes_nginx(address, port))
    }

    /// The same of a user's processes.
    fn listens_on(&self, uid: u32, port: u16) -> bool {
        let listeners = self.listeners_of(uid);
        listeners.iter().any(|address| takes_nginx(address, port))
    }

    /// The TCP addresses on which a user's processes listen. Of other users' processes the kernel
    /// tells an unprivileged daemon no more than that.
    fn listeners_of(&self, uid: u32) -> Vec<SocketAddr>;

    /// Whether somebody listens on an app's socket, and nginx's name leads there; ports need no name.
    async fn is_named(&self, app: &App) -> bool;

    /// How many connections an app has, those among them that it has not taken yet. Reads the kernel's tables.
    fn connections(&self, app: &App) -> usize;

    /// Running processes that belong to a workspace of this layout, by the mark in their environment.
    fn workspace_processes(&self, layout: &Layout) -> Vec<(u32, UnitName)>;
}

/// Looks at this machine, through the nginx on this port of the loopback.
#[derive(Clone, Copy, Debug)]
pub struct RealProbe {
    /// Where nginx listens for HTTP.
    pub http_port: u16,
    /// Where it listens for HTTPS.
    pub https_port: u16,
}

#[async_trait]
impl Probe for RealProbe {
    fn port_is_free(&self, port: u16) -> bool {
        let taken = |address: IpAddr| {
            TcpListener::bind((address, port))
                .is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
        };
        // A listener on all addresses of either family is in the way of these two as well.
        !taken(Ipv4Addr::LOCALHOST.into()) && !taken(Ipv6Addr::LOCALHOST.into())
    }

    async fn is_open(&self, port: u16) -> bool {
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        matches!(timeout(CONNECT_LIMIT, connection).await, Ok(Ok(_)))
    }

    async fn takes(&self, app: &App) -> bool {
        match app {
            App::Port(port) => self.is_open(*port).await,
            App::Socket(socket) => timeout(CONNECT_LIMIT, socket.connect())
                .await
                .is_ok_and(|connected| connected.is_ok()),
        }
    }

    async fn ask(
        &self,
        page: Page<'_>,
        cookies: &str,
        limit: Duration,
    ) -> Result<PageAnswer, Fault> {
        let url = self.url(page);
        match timeout(limit, self.exchange(page, cookies)).await {
            Ok(answer) => answer.cannot(format_args!("get {url}")),
            Err(_) => Err(Fault::new(format!(
                "cannot get {url}: no answer within {:.0} s",
                limit.as_secs_f32()
            ))),
        }
    }

    async fn get_past_nginx(
        &self,
        app: &App,
        page: Page<'_>,
        limit: Duration,
    ) -> Result<u16, Fault> {
        let asked = page::of_app(app, page);
        let answer = timeout(limit, asked).await;
        let answer = answer.cannot("ask the app itself")?;
        answer
            .cannot("ask the app itself")
            .map(|answer| answer.status)
    }

    async fn is_named(&self, app: &App) -> bool {
        match app {
            App::Port(_) => true,
            App::Socket(socket) => socket.is_named() && self.takes(app).await,
        }
    }

    fn connections(&self, app: &App) -> usize {
        match app {
            App::Port(port) => listeners::connections(*port),
            App::Socket(socket) => listeners::socket_connections(&socket.path()),
        }
    }

    fn workspace_processes(&self, layout: &Layout) -> Vec<(u32, UnitName)> {
        let run_dir = orphans::run_dir_setting(layout);
        let unit = |pid| UnitName::parse(&procs::environment_value(pid, "CID_UNIT")?);
        procs::all()
            .into_iter()
            .map(|stat| stat.id.pid)
            .filter(|pid| procs::environment_holds(*pid, std::slice::from_ref(&run_dir)))
            .filter_map(|pid| Some((pid, unit(pid)?)))
            .collect()
    }

    fn listeners(&self, pids: &[u32]) -> Vec<SocketAddr> {
        let sockets = sockets_of(pids);
        listening()
            .into_iter()
            .filter(|listener| sockets.contains(&listener.inode))
            .map(|listener| listener.address)
            .collect()
    }

    fn listen_on(&self, pids: &[u32], port: u16) -> bool {
        let sockets = sockets_of(pids);
        any_listener(|listener| {
            takes_nginx(&listener.address, port) && sockets.contains(&listener.inode)
        })
    }

    fn listens_on(&self, uid: u32, port: u16) -> bool {
        any_listener(|listener| takes_nginx(&listener.address, port) && listener.uid == uid)
    }

    fn listeners_of(&self, uid: u32) -> Vec<SocketAddr> {
        listening()
            .into_iter()
            .filter(|listener| listener.uid == uid)
            .map(|listener| listener.address)
            .collect()
    }
}

/// Whether nginx, which asks an app at 127.0.0.1, gets to a socket bound to this address.
fn takes_nginx(address: &SocketAddr, port: u16) -> bool {
    let ip = address.ip().to_canonical();
    address.port() == port && (ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST)
}

/// Whether a workspace's web process listens on its port; `pids` as in [`of_workspace`].
pub fn is_served(probe: &dyn Probe, run_file: &RunFile, pids: &[u32], port: u16) -> bool {
    match &run_file.run_as {
        Some(user) => probe.listens_on(user.uid, port),
        None => probe.listen_on(pids, port),
    }
}

/// Where a workspace's web process listens; `pids` are its processes, where they are this user's own.
pub fn of_workspace(probe: &dyn Probe, run_file: &RunFile, pids: &[u32]) -> Vec<SocketAddr> {
    match &run_file.run_as {
        Some(user) => probe.listeners_of(user.uid),
        None => probe.listeners(pids),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::listeners;

    #[test]
    fn sees_who_listens() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [four.local_addr().unwrap()];
        let probe = RealProbe {
            https_port: 1,
            http_port: 80,
        };
        let found = probe.listeners(&[std::process::id()]);
        assert!(
            addresses.iter().all(|address| found.contains(address)),
            "{found:?}"
        );
        let (own, port) = (std::process::id(), addresses[0].port());
        assert!(probe.listen_on(&[own], port));
        assert!(!probe.listen_on(&[], port));
        let uid = nix::unistd::geteuid().as_raw();
        assert!(probe.listens_on(uid, port));
        assert!(!probe.listens_on(uid + 1, port));
        assert!(!probe.port_is_free(addresses[0].port()));
        assert_eq!(
            listeners::holder_of(addresses[0].port()),
            Some(std::process::id())
        );
        let own = format!("process {} ", std::process::id());
        let told = listeners::in_words(addresses[0].port());
        assert!(told.starts_with(&own), "{told}");
        drop(four);
        assert!(probe.port_is_free(addresses[0].port()));
    }

    #[test]
    fn nginx_gets_to_the_loopback_of_version_4_alone() {
        for (address, expected) in [
            ("127.0.0.1:20003", true),
            ("0.0.0.0:20003", true),
            ("[::]:20003", true),
            ("[::ffff:127.0.0.1]:20003", true),
            ("[::1]:20003", false),
            ("127.0.0.2:20003", false),
            ("127.0.0.1:20004", false),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(takes_nginx(&address, 20003), expected, "{address}");
        }
    }
}
