//! Looks at ports and pages, changes nothing.

use super::{
    inside::AppSocket,
    listeners::{self, any_listener, listening, sockets_of},
    procs,
    supervisor::orphans,
    tls::{self, Pair},
};
use crate::{domain::UnitName, layout::Layout};
use async_trait::async_trait;
use cid_protocol::{
    fault::{Fault, FaultContext},
    run_file::RunFile,
};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, COOKIE, HOST, HeaderValue, LOCATION, SET_COOKIE, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use std::{
    error::Error,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

/// What is kept of a page.
const BODY_LIMIT: usize = 1024;
/// A listener of the loopback that does not take a connection within this time has too many.
const CONNECT_LIMIT: Duration = Duration::from_millis(100);

/// A page that nginx shows.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The site's host name.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// cid's copy of the certificate that the site must show; `None`: it is asked for over HTTP.
    pub certificate: Option<&'a Path>,
}

/// What a site answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageAnswer {
    /// The status code.
    pub status: u16,
    /// The first KiB of the body, as text.
    pub body: String,
    /// Where a redirect leads, as it says so.
    pub location: Option<String>,
    /// `NAME=VALUE` of each cookie that is set.
    pub cookies: Vec<String>,
}

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
        self.listeners(pids)
            .iter()
            .any(|address| address.port() == port)
    }

    /// The same of a user's processes.
    fn listens_on(&self, uid: u32, port: u16) -> bool {
        self.listeners_of(uid)
            .iter()
            .any(|address| address.port() == port)
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

impl RealProbe {
    /// The page's address, as people type it.
    fn url(&self, page: Page<'_>) -> String {
        let (port, usual) = match page.certificate {
            Some(_) => (self.https_port, 443),
            None => (self.http_port, 80),
        };
        let (scheme, host, path) = (page.scheme(), page.host, page.path);
        match port == usual {
            true => format!("{scheme}://{host}{path}"),
            false => format!("{scheme}://{host}:{port}{path}"),
        }
    }
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
        let takes = async |address: IpAddr| {
            let connection = TcpStream::connect((address, port));
            matches!(timeout(CONNECT_LIMIT, connection).await, Ok(Ok(_)))
        };
        takes(Ipv4Addr::LOCALHOST.into()).await || takes(Ipv6Addr::LOCALHOST.into()).await
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
        let asked = async {
            // As nginx would send it.
            let request = Request::get(page.path)
                .header(HOST, page.host)
                .header("X-Forwarded-Proto", page.scheme())
                .header(USER_AGENT, "cid")
                .body(Empty::<Bytes>::new())?;
            match app {
                App::Port(port) => {
                    ask(
                        TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await?,
                        request,
                    )
                    .await
                }
                App::Socket(socket) => ask(socket.connect().await?, request).await,
            }
        };
        let answer = timeout(limit, asked).await;
        let answer = answer.cannot("ask the app itself")?;
        answer
            .cannot("ask the app itself")
            .map(|answer| answer.status)
    }

    async fn is_named(&self, app: &App) -> bool {
        match app {
            App::Port(_) => true,
            // One that an earlier process left is there, and has the name.
            App::Socket(socket) => socket.is_named() && socket.connect().await.is_ok(),
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
            listener.address.port() == port && sockets.contains(&listener.inode)
        })
    }

    fn listens_on(&self, uid: u32, port: u16) -> bool {
        any_listener(|listener| listener.address.port() == port && listener.uid == uid)
    }

    fn listeners_of(&self, uid: u32) -> Vec<SocketAddr> {
        listening()
            .into_iter()
            .filter(|listener| listener.uid == uid)
            .map(|listener| listener.address)
            .collect()
    }
}

impl<'a> Page<'a> {
    /// A page over HTTP.
    pub fn http(host: &'a str, path: &'a str) -> Self {
        Self {
            host,
            path,
            certificate: None,
        }
    }

    fn scheme(&self) -> &'static str {
        match self.certificate {
            Some(_) => "https",
            None => "http",
        }
    }
}

impl RealProbe {
    async fn exchange(
        &self,
        page: Page<'_>,
        cookies: &str,
    ) -> Result<PageAnswer, Box<dyn Error + Send + Sync>> {
        let (port, usual) = match page.certificate {
            Some(_) => (self.https_port, 443),
            None => (self.http_port, 80),
        };
        // Browsers leave out the port that is usual.
        let host = match port == usual {
            true => page.host.to_owned(),
            false => format!("{}:{port}", page.host),
        };
        let mut request = Request::get(page.path)
            .header(HOST, host)
            .header(USER_AGENT, "cid")
            .header(ACCEPT, "*/*");
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        match page.certificate {
            None => ask(stream, request).await,
            Some(copy) => {
                let stream = tls::connect(stream, page.host, Pair::leaf_of(copy)?).await?;
                ask(stream, request).await
            }
        }
    }
}

/// One request over a connection.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<PageAnswer, Box<dyn Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let headers = response.headers();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let location = headers.get(LOCATION).map(text);
        let cookies = headers.get_all(SET_COOKIE).into_iter().map(text);
        let cookies = cookies
            .map(|cookie| {
                cookie
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            })
            .collect();
        let mut body = response.into_body();
        let mut start = Vec::new();
        while start.len() < BODY_LIMIT
            && let Some(frame) = body.frame().await
        {
            start.extend(frame?.into_data().unwrap_or_default());
        }
        start.truncate(BODY_LIMIT);
        Ok(PageAnswer {
            status,
            body: String::from_utf8_lossy(&start).into_owned(),
            location,
            cookies,
        })
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
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
    use std::io::{Read, Write};

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

    #[tokio::test]
    async fn gets_a_page_of_a_site_and_follows_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let probe = RealProbe {
            http_port: listener.local_addr().unwrap().port(),
            https_port: 1,
        };
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            let body = "x".repeat(5000);
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nContent-Length: 5000\r\n\r\n{body}"
            )
            .unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let page = Page::http("a.localhost", "/a?b=c");
        let limit = Duration::from_secs(5);
        let answer = probe.ask(page, "old=0; c=3", limit).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (302, BODY_LIMIT));
        assert_eq!(answer.location.as_deref(), Some("/b"));
        assert_eq!(answer.cookies, ["a=1", "b=2"]);
        let request = server.join().unwrap();
        assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("cookie: old=0; c=3\r\n"), "{request}");
        assert!(
            request.contains(&format!("host: a.localhost:{}\r\n", probe.http_port)),
            "{request}"
        );
    }

    #[tokio::test]
    async fn gives_up_on_silence() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let probe = RealProbe {
            http_port: listener.local_addr().unwrap().port(),
            https_port: 1,
        };
        let fault = probe
            .get(Page::http("a.localhost", "/"), Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(fault.message.contains("no answer within"), "{fault}");
    }
}
