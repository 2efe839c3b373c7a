//! Visitors of a site who notice each request that is lost.

use sha2::{Digest, Sha256};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// Works while five streams ask the app of [`Tree::on_socket`](cid_testkit::Tree::on_socket): pages and 64 KiB posts,
/// by kept and by new connections, and pages that take four seconds. `work` is given what says that all is well so
/// far. The answer is how many requests there were.
///
/// # Panics
/// A request was lost, or answered wrongly.
pub fn under_load(port: u16, host: &str, work: impl FnOnce(&dyn Fn() -> bool)) -> usize {
    let load = Load::default();
    let body: Vec<u8> = (0..64 * 1024).map(|n: u32| (n % 251) as u8).collect();
    let digest: String = Sha256::digest(&body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let visitor = || Visitor {
        load: &load,
        port,
        host: host.to_owned(),
        connection: None,
    };
    let is_page = |text: &str| text.contains(" from ");
    let is_digest = |text: &str| text.trim() == digest;
    thread::scope(|scope| {
        let _over = Over(&load);
        let streams = [
            scope.spawn(|| visitor().visit("/", &[], true, is_page)),
            scope.spawn(|| visitor().visit("/", &[], false, is_page)),
            scope.spawn(|| visitor().visit("/", &body, true, is_digest)),
            scope.spawn(|| visitor().visit("/", &body, false, is_digest)),
            scope.spawn(|| visitor().visit("/slow", &[], false, is_page)),
        ];
        work(&|| !streams.iter().any(thread::ScopedJoinHandle::is_finished));
        load.over.store(true, Ordering::Relaxed);
        for stream in streams {
            stream.join().unwrap();
        }
    });
    load.asked.load(Ordering::Relaxed)
}

/// Ends the streams also where the work fails.
struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Whether it is over, and how many requests were answered.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    asked: AtomicUsize,
}

struct Visitor<'a> {
    load: &'a Load,
    port: u16,
    host: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Visitor<'_> {
    /// Asks over and over; `keeps`: by one connection, which nginx may end between two requests.
    fn visit(mut self, path: &str, body: &[u8], keeps: bool, is_right: impl Fn(&str) -> bool) {
        while !self.load.over.load(Ordering::Relaxed) {
            let (status, text, ends) = self.ask(path, body, keeps).unwrap();
            assert!(status == 200 && is_right(&text), "{path}: {status} {text}");
            self.load.asked.fetch_add(1, Ordering::Relaxed);
            if !keeps || ends {
                self.connection = None;
            }
        }
    }

    fn ask(
        &mut self,
        path: &str,
        body: &[u8],
        keeps: bool,
    ) -> std::io::Result<(u16, String, bool)> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => empty.insert(BufReader::new(TcpStream::connect((
                "127.0.0.1",
                self.port,
            ))?)),
        };
        let stream = connection.get_mut();
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let (method, keep) = match (body.is_empty(), keeps) {
            (true, keeps) => ("GET", keeps),
            (false, keeps) => ("POST", keeps),
        };
        let keep = if keep { "keep-alive" } else { "close" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: {keep}\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut status, mut length, mut ends) = (0, 0, false);
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line)? == 0 {
                return Ok((0, "the connection was closed".into(), true));
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap_or(0);
            } else if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().unwrap_or(0);
            } else if line == "connection: close" {
                ends = true;
            } else if line.is_empty() {
                break;
            }
        }
        let mut text = vec![0; length];
        connection.read_exact(&mut text)?;
        Ok((status, String::from_utf8_lossy(&text).into_owned(), ends))
    }
}
