//! Reads the logs of a workspace's processes in pieces, and only as fast as the caller reads: nothing
//! is read ahead.

mod file;

use super::{Named, bind, resolve};
use crate::{
    authz::Claim,
    cid::{
        Cid,
        streams::{Kind, Place},
    },
    domain::{Opener, ProcessType},
    error::Error,
};
use cid_kernel::fs;
use cid_protocol::budget::LOG_LINES;
use file::{Log, Piece};
use futures::stream::{self, Stream};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const DEFAULT_LINES: usize = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What is asked for.
pub struct WantedLogs {
    /// Only this process; empty: all.
    pub process: String,
    /// How many last lines of each process; 0 means 100.
    pub lines: u32,
    /// Whether to follow new lines.
    pub follow: bool,
    /// With `process`: begin after this place. Where its file is gone, `lines` counts.
    pub after: Option<LogPlace>,
}

/// A file's inode, and bytes from its beginning.
pub type LogPlace = (u64, u64);

/// A line of a process.
pub struct LogLine {
    /// The process's type.
    pub process: String,
    /// The line without its end.
    pub line: Vec<u8>,
    /// Where the line ends.
    pub end: LogPlace,
}

/// The last lines of each of a workspace's logs, and with `follow` new lines.
///
/// # Errors
/// There is no such workspace or log, too many lines are requested, or the actor may not.
pub async fn logs(
    cid: &Cid,
    claim: Claim,
    named: &Named,
    wanted: &WantedLogs,
) -> Result<impl Stream<Item = LogLine> + Send + use<>, Error> {
    let workspace = resolve(cid, named).await?;
    let permit = bind(cid, claim, &workspace).await?;
    let dir = cid.layout.app_log_dir(&workspace.unit());
    let opener = Opener::new(permit.uid(), permit.actor().person());
    let place = cid.streams.begin(opener, Kind::Logs)?;
    tracing::debug!(caller = %permit, "reading logs");
    stream(place, &dir, wanted, cid.stopping.clone())
}

/// The last lines of each process's log, and with `follow` new lines. `place` is held until it ends.
///
/// # Errors
/// That process has no log, or too many lines are requested.
fn stream(
    place: Place,
    dir: &Path,
    wanted: &WantedLogs,
    stopping: CancellationToken,
) -> Result<impl Stream<Item = LogLine> + Send + use<>, Error> {
    let lines = match wanted.lines as usize {
        0 => DEFAULT_LINES,
        lines => {
            let asked = LOG_LINES.check(lines, format_args!("{lines} lines"));
            asked.map_err(|over| Error::over("lines", &over))?;
            lines
        }
    };
    let mut logs = logs_of(dir, &wanted.process)?;
    if let Some(after) = wanted.after {
        if wanted.process.is_empty() {
            return Err(Error::invalid(
                "after",
                "a place is in the log of one process",
            ));
        }
        for log in &mut logs {
            log.go_on_after(after);
        }
    }
    let reader = Reader {
        dir: dir.to_owned(),
        logs,
        current: 0,
        tail: Some(lines),
        follow: wanted.follow,
        piece: Piece::default(),
        stopping,
        _place: place,
    };
    Ok(stream::unfold(reader, async |mut reader| {
        let line = reader.next().await?;
        Some((line, reader))
    }))
}

fn logs_of(dir: &Path, process: &str) -> Result<Vec<Log>, Error> {
    if !process.is_empty() && ProcessType::parse(process).is_none() {
        return Err(Error::invalid(
            "process",
            "a process type is like web or worker (a-z, 0-9, _ and -)",
        ));
    }
    let logs: Vec<Log> = fs::names(dir)?
        .iter()
        .filter_map(|file| file.strip_suffix(".log"))
        .filter(|name| process.is_empty() || *name == process)
        .map(|name| Log::new(name, dir))
        .collect();
    match (logs.is_empty(), process) {
        (false, _) => Ok(logs),
        (true, "") => Err(Error::not_found("there is no log")),
        (true, _) => {
            let message = format!("there is no log of a process {process:?}");
            Err(Error::not_found(message))
        }
    }
}

/// One caller's reading.
struct Reader {
    /// Where they lie: it goes with the workspace.
    dir: PathBuf,
    logs: Vec<Log>,
    /// The log that is being read.
    current: usize,
    /// How many last lines of each are wanted; `None` once they are read and new lines are followed.
    tail: Option<usize>,
    follow: bool,
    piece: Piece,
    stopping: CancellationToken,
    _place: Place,
}

impl Reader {
    async fn next(&mut self) -> Option<LogLine> {
        loop {
            let Some(log) = self.logs.get_mut(self.current) else {
                self.again().await?;
                continue;
            };
            if let Some(line) = log.next(&mut self.piece, self.tail) {
                return Some(LogLine {
                    process: log.process.clone(),
                    line,
                    end: log.place(),
                });
            }
            self.piece = Piece::default();
            self.current += 1;
        }
    }

    /// Starts again with the first log, a moment later; `None` if nothing more is wanted or can come.
    async fn again(&mut self) -> Option<()> {
        if !self.follow {
            return None;
        }
        self.current = 0;
        if self.tail.take().is_none() {
            if !fs::exists(&self.dir) {
                return None;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.stopping.cancelled() => return None,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{file::PIECE, *};
    use crate::cid::streams::Streams;
    use cid_protocol::budget::{LINE, LOG_TAIL};
    use futures::StreamExt;
    use std::{fs::File, io::Write, os::unix::fs::FileExt};

    type Lines = std::pin::Pin<Box<dyn Stream<Item = LogLine>>>;

    fn read(dir: &Path, lines: u32, follow: bool) -> Lines {
        let place = Streams::default()
            .begin(Opener::new(7, None), Kind::Logs)
            .unwrap();
        let wanted = WantedLogs {
            process: "web".into(),
            lines,
            follow,
            after: None,
        };
        let stopping = CancellationToken::new();
        Box::pin(stream(place, dir, &wanted, stopping).unwrap())
    }

    async fn all(lines: Lines) -> Vec<Vec<u8>> {
        lines.map(|line| line.line).collect().await
    }

    fn log(content: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("web.log"), content).unwrap();
        dir
    }

    #[tokio::test]
    async fn gives_the_last_whole_lines() {
        let long: Vec<u8> = (0..100_000)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        for (content, lines, expected) in [
            (&b"a\nb\nc\nhalf"[..], 2, vec!["b", "c"]),
            (b"a\nb\n", 2, vec!["a", "b"]),
            (b"a\nb\n", 9, vec!["a", "b"]),
            (b"\n\n", 2, vec!["", ""]),
            (b"", 2, vec![]),
            (b"half", 2, vec![]),
            (&long, 3, vec!["99997", "99998", "99999"]),
        ] {
            let dir = log(content);
            let lines = all(read(dir.path(), lines, false)).await;
            let expected: Vec<_> = expected.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(lines, expected);
        }
        let dir = log(&long);
        let many = all(read(dir.path(), 10_000, false)).await;
        assert_eq!((many.len(), &many[0][..]), (10_000, &b"90000"[..]));
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_one_is_whole() {
        for length in [
            LINE.most - 1,
            LINE.most,
            LINE.most + 1,
            PIECE,
            PIECE + 1,
            5 * PIECE,
        ] {
            let content = [b"a\n", &vec![b'x'; length][..], b"\nb\n"].concat();
            let dir = log(&content);
            let lines = all(read(dir.path(), 3, false)).await;
            let lengths: Vec<usize> = lines.iter().map(Vec::len).collect();
            assert_eq!(lengths, [1, length.min(LINE.most), 1], "{length}");
        }
    }

    #[tokio::test]
    async fn only_the_end_of_a_log_is_searched() {
        let mut content = vec![b'\n'; LOG_TAIL.most];
        content.splice(..0, *b"first\n");
        let dir = log(&content);
        // In a sparse log the lines are too far apart.
        let file = File::options()
            .write(true)
            .open(dir.path().join("web.log"))
            .unwrap();
        file.set_len(1 << 40).unwrap();
        file.write_all_at(b"\nlast\n", (1 << 40) - 6).unwrap();
        let lines = all(read(dir.path(), 3, false)).await;
        assert_eq!(lines.last().unwrap(), b"last");
        assert!(lines.iter().all(|line| line.len() <= LINE.most));
    }

    #[tokio::test]
    async fn follows_through_half_lines_and_a_rotation() {
        let dir = log(b"a\n");
        let path = dir.path().join("web.log");
        let mut lines = read(dir.path(), 5, true);
        let mut next = async || lines.next().await.unwrap().line;
        assert_eq!(next().await, b"a");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"b\nha").unwrap();
        assert_eq!(next().await, b"b");
        file.write_all(b"lf\n").unwrap();
        assert_eq!(next().await, b"half");
        std::fs::rename(&path, dir.path().join("web.log.1")).unwrap();
        std::fs::write(&path, b"new\n").unwrap();
        assert_eq!(next().await, b"new");
    }

    #[tokio::test]
    async fn goes_on_where_an_earlier_answer_ended() {
        let dir = log(b"a\nb\nb\nc\n");
        let from = |after| {
            let place = Streams::default()
                .begin(Opener::new(7, None), Kind::Logs)
                .unwrap();
            let wanted = WantedLogs {
                process: "web".into(),
                lines: 2,
                follow: false,
                after: Some(after),
            };
            let lines = stream(place, dir.path(), &wanted, CancellationToken::new()).unwrap();
            all(Box::pin(lines))
        };
        let ends: Vec<LogPlace> = read(dir.path(), 4, false)
            .map(|line| line.end)
            .collect()
            .await;
        assert_eq!(from(ends[1]).await, [b"b", b"c"]);
        assert_eq!(from(ends[0]).await, [b"b", b"b", b"c"]);
        assert_eq!(from(ends[3]).await, Vec::<Vec<u8>>::new());
        // Another file, and one that was made shorter: the last lines.
        let (file, offset) = ends[1];
        assert_eq!(from((file + 1, offset)).await, [b"b", b"c"]);
        assert_eq!(from((file, 1 << 40)).await, [b"b", b"c"]);
    }

    #[test]
    fn more_lines_than_may_be_are_refused() {
        let dir = log(b"a\n");
        let wanted = |lines| WantedLogs {
            process: String::new(),
            lines,
            follow: false,
            after: None,
        };
        let ask = |lines| {
            let place = Streams::default()
                .begin(Opener::new(7, None), Kind::Logs)
                .unwrap();
            let stopping = CancellationToken::new();
            stream(place, dir.path(), &wanted(lines), stopping).map(drop)
        };
        let most = u32::try_from(LOG_LINES.most).unwrap();
        assert!(ask(most).is_ok());
        let said = ask(most + 1).unwrap_err().to_string();
        assert!(said.contains("10000"), "{said}");
    }

    #[tokio::test]
    async fn following_ends_with_the_workspace() {
        let dir = log(b"one\n");
        let mut lines = read(dir.path(), 1, true);
        assert_eq!(lines.next().await.unwrap().line, b"one");
        dir.close().unwrap();
        assert!(lines.next().await.is_none());
    }
}
