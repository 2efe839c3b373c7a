//! What visitors of one workspace notice while others are created and deleted.

use anyhow::{Context, Result, bail};
use cid_testkit::Sandbox;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// So often something is asked, and sent on the WebSocket.
const EVERY: Duration = Duration::from_millis(10);
/// How long it is watched while nothing else happens.
const QUIET: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(10);
/// A masked frame with two bytes of text; the mask is nought.
const FRAME: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];

/// What visitors got.
pub(super) struct Visits {
    /// Requests that were not answered with 200.
    pub(super) failed: usize,
    pub(super) answered: usize,
    /// Seconds that 99 of 100 answers took at most.
    pub(super) p99: f64,
    /// The WebSocket was open to the end, and each frame came back.
    pub(super) is_open: bool,
}

/// The visits while nothing happens, and while `work` runs.
pub(super) fn run(
    sandbox: &Sandbox,
    host: &str,
    work: impl FnOnce() -> Result<()>,
) -> Result<[Visits; 2]> {
    let quiet = visited(sandbox, host, || {
        thread::sleep(QUIET);
        Ok(())
    })?;
    Ok([quiet, visited(sandbox, host, work)?])
}

fn visited(sandbox: &Sandbox, host: &str, work: impl FnOnce() -> Result<()>) -> Result<Visits> {
    let port = sandbox.http_port();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| ask(port, host, &done));
        let socket = scope.spawn(|| keep_open(port, host, &done));
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let (Ok((mut took, failed)), Ok(socket)) = (asking.join(), socket.join()) else {
            bail!("a visitor panicked");
        };
        worked?;
        if let Err(error) = &socket {
            println!("    the WebSocket: {error:#}");
        }
        took.sort_by(f64::total_cmp);
        let p99 = took.get(took.len() * 99 / 100);
        Ok(Visits {
            failed,
            answered: took.len(),
            p99: *p99.context("nothing was answered")?,
            is_open: socket.is_ok(),
        })
    })
}

/// How long each answer took, and how many were none.
fn ask(port: u16, host: &str, done: &AtomicBool) -> (Vec<f64>, usize) {
    let (mut took, mut failed) = (Vec::new(), 0);
    while !done.load(Ordering::Relaxed) {
        let start = Instant::now();
        match request(port, host) {
            Ok(()) => took.push(start.elapsed().as_secs_f64()),
            Err(error) => {
                println!("    a request: {error:#}");
                failed += 1;
            }
        }
        thread::sleep(EVERY);
    }
    (took, failed)
}

fn connect(port: u16, host: &str, headers: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}\r\n\r\n"
    )?;
    Ok(stream)
}

fn request(port: u16, host: &str) -> Result<()> {
    let mut answer = String::new();
    connect(port, host, "Connection: close")?.read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        false => bail!("{}", answer.lines().next().unwrap_or("no answer")),
    }
}

/// Sends frames and takes them back.
fn keep_open(port: u16, host: &str, done: &AtomicBool) -> Result<()> {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut stream = connect(port, host, upgrade)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream
            .read_exact(&mut byte)
            .context("it was not upgraded")?;
        head.extend(byte);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        bail!("it was not upgraded: {}", String::from_utf8_lossy(&head));
    }
    while !done.load(Ordering::Relaxed) {
        stream.write_all(FRAME).context("it was cut")?;
        let mut back = [0; FRAME.len()];
        stream.read_exact(&mut back).context("it was cut")?;
        if back != FRAME {
            bail!("another frame came back");
        }
        thread::sleep(EVERY);
    }
    Ok(())
}
