use anyhow::{Context, Result};
use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// What a web server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A request to a port of this machine, with a host name that needs no DNS.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// What `Host` says, without the port.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// What a form claims to be sent from; its own host otherwise.
    pub origin: Option<&'a str>,
}

impl Request<'_> {
    /// Asks for the page.
    ///
    /// # Errors
    /// Nothing answers, or not in HTTP.
    pub fn get(&self) -> Result<Answer> {
        self.send("GET", "")
    }

    /// Sends a form as a browser on the same site does.
    ///
    /// # Errors
    /// Nothing answers, or not in HTTP.
    pub fn post_form(&self, fields: &[(&str, &str)]) -> Result<Answer> {
        let pairs = fields
            .iter()
            .map(|(key, value)| format!("{key}={}", percent(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.send("POST", &body)
    }

    fn send(&self, method: &str, body: &str) -> Result<Answer> {
        let Self {
            port,
            host,
            path,
            origin,
        } = self;
        let what = || format!("{method} http://{host}:{port}{path}");
        let mut stream = TcpStream::connect(("127.0.0.1", *port)).with_context(what)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {host}:{port}\r\n");
        if method == "POST" {
            let own = format!("http://{host}:{port}");
            let site = origin.map_or("same-origin", |_| "cross-site");
            write!(
                request,
                "Origin: {}\r\nSec-Fetch-Site: {site}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
                origin.unwrap_or(&own),
                body.len()
            )?;
        }
        request.push_str("\r\n");
        request.push_str(body);
        stream.write_all(request.as_bytes()).with_context(what)?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).with_context(what)?;
        parse(&String::from_utf8_lossy(&bytes)).with_context(what)
    }
}

/// Asks for a page: its status and body.
///
/// # Errors
/// Nothing answers, or not in HTTP.
pub fn http_get(port: u16, host: &str, path: &str) -> Result<(u16, String)> {
    let answer = Request {
        port,
        host,
        path,
        origin: None,
    }
    .get()?;
    Ok((answer.status, answer.body))
}

pub(crate) fn parse(text: &str) -> Result<Answer> {
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("no HTTP status in {head:?}"))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Answer {
        status,
        headers,
        body: body.to_owned(),
    })
}

fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_answer() {
        let answer = parse("HTTP/1.1 404 Not Found\r\nX-A: b\r\n\r\ngone").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, "gone"));
        assert_eq!(answer.header("x-a"), Some("b"));
        assert!(parse("SSH-2.0-x\r\n").is_err());
    }

    #[test]
    fn encodes_a_form() {
        assert_eq!(percent("a+b@x.org"), "a%2Bb%40x.org");
    }
}
