//! Follows the logs of a workspace's processes.

use crate::{
    authz::Permit,
    error::Error,
    system::{Fault, fs},
};
use cid_proto::v1::LogsResponse;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

const QUEUE: usize = 256;
const MAX_LINES: u32 = 10_000;
const DEFAULT_LINES: u32 = 100;
const MAX_LINE: usize = 16 * 1024;
/// As much of a log's end is read to find its last lines.
const MAX_TAIL: u64 = 4 * 1024 * 1024;
const LOOK_AGAIN: Duration = Duration::from_millis(200);

type Sender = mpsc::Sender<Result<LogsResponse, Status>>;

/// The last lines of each process's log, and with `follow` what comes.
///
/// # Errors
/// There is no log of that process.
pub(super) fn stream(
    permit: Permit,
    dir: &Path,
    process: &str,
    lines: u32,
    follow: bool,
    stopping: CancellationToken,
) -> Result<ReceiverStream<Result<LogsResponse, Status>>, Error> {
    if lines > MAX_LINES {
        return Err(Error::invalid(
            "lines",
            format!("at most {MAX_LINES} lines"),
        ));
    }
    let lines = if lines == 0 { DEFAULT_LINES } else { lines } as usize;
    let mut logs: Vec<Log> = fs::names(dir)?
        .iter()
        .filter_map(|file| file.strip_suffix(".log"))
        .filter(|name| process.is_empty() || *name == process)
        .map(|name| Log {
            process: name.to_owned(),
            path: dir.join(format!("{name}.log")),
            inode: 0,
            offset: 0,
            rest: Vec::new(),
        })
        .collect();
    if logs.is_empty() {
        let of = if process.is_empty() {
            String::new()
        } else {
            format!(" of a process {process:?}")
        };
        return Err(Error::not_found(format!("there is no log{of}")));
    }
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        tracing::debug!(caller = %permit, "reading logs");
        for log in &mut logs {
            if log.tail(lines, &sender).await.is_err() {
                return;
            }
        }
        if !follow {
            return;
        }
        loop {
            for log in &mut logs {
                if log.news(&sender).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = sender.closed() => return,
                () = stopping.cancelled() => return,
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// Whoever listened is gone.
struct Gone;

struct Log {
    process: String,
    path: PathBuf,
    inode: u64,
    offset: u64,
    /// The beginning of a line that is not whole yet.
    rest: Vec<u8>,
}

impl Log {
    async fn tail(&mut self, lines: usize, sender: &Sender) -> Result<(), Gone> {
        let end = self.read(Some(MAX_TAIL)).unwrap_or_default();
        let mut whole: Vec<&[u8]> = end.split(|b| *b == b'\n').collect();
        // What follows the last line feed is nothing, or a line that is still being written.
        self.rest = whole.pop().unwrap_or_default().to_vec();
        for line in &whole[whole.len().saturating_sub(lines)..] {
            self.send(line, sender).await?;
        }
        Ok(())
    }

    async fn news(&mut self, sender: &Sender) -> Result<(), Gone> {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend(self.read(None).unwrap_or_default());
        let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        let rest = lines.pop().unwrap_or_default();
        for line in lines {
            self.send(line, sender).await?;
        }
        self.rest = rest[..rest.len().min(MAX_LINE)].to_vec();
        Ok(())
    }

    async fn send(&self, line: &[u8], sender: &Sender) -> Result<(), Gone> {
        let line = line[..line.len().min(MAX_LINE)].to_vec();
        sender
            .send(Ok(LogsResponse {
                process: self.process.clone(),
                line,
            }))
            .await
            .map_err(|_| Gone)
    }

    /// What has been written since the last time, or at first at most `last` bytes of the end. A
    /// log that was rotated away begins anew.
    fn read(&mut self, last: Option<u64>) -> Result<Vec<u8>, Fault> {
        let failed = |error| Fault::io("read", &self.path, error);
        let mut file = File::open(&self.path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if let Some(last) = last {
            self.offset = meta.len().saturating_sub(last);
        } else if meta.ino() != self.inode || meta.len() < self.offset {
            self.offset = 0;
        }
        self.inode = meta.ino();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        file.take(MAX_TAIL)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }
}
