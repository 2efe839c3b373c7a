//! A page of a site, as nginx shows it to a browser.

use super::{
    probe::{App, RealProbe},
    tls::{self, Pair},
};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, COOKIE, HOST, HeaderValue, LOCATION, SET_COOKIE, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use std::{error::Error, net::Ipv4Addr, path::Path};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// What is kept of a page.
const BODY_LIMIT: usize = 1024;

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
    /// The page's address, as people type it.
    pub(super) fn url(&self, page: Page<'_>) -> String {
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

    /// Asks nginx for a page, as [`Probe::ask`](super::probe::Probe::ask) does, without a limit.
    pub(super) async fn exchange(
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

/// A page of an app itself, asked for as nginx would.
pub(super) async fn of_app(
    app: &App,
    page: Page<'_>,
) -> Result<PageAnswer, Box<dyn Error + Send + Sync>> {
    let request = Request::get(page.path)
        .header(HOST, page.host)
        .header("X-Forwarded-Proto", page.scheme())
        .header(USER_AGENT, "cid")
        .body(Empty::<Bytes>::new())?;
    match app {
        App::Port(port) => {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await?;
            ask(stream, request).await
        }
        App::Socket(socket) => ask(socket.connect().await?, request).await,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::probe::Probe;
    use std::{
        io::{Read, Write},
        net::TcpListener,
        time::Duration,
    };

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
