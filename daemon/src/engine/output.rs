//! The log of a running step: lines go into the journal in batches, and the last ones are kept for the
//! failure.

use super::left_out::LeftOut;
use crate::{domain::event::What, store::Store};
use cid_protocol::budget::{
    FAILURE_BYTES, FAILURE_HEAD, FAILURE_LINES, JOB_LOG, LOG_BATCH, LOG_QUEUE, STEP_LOG_END,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

const BATCH_TIME: Duration = Duration::from_millis(200);

/// The log of one running step.
pub(super) struct Log {
    task: JoinHandle<Ended>,
}

/// A log whose step is over.
#[derive(Default)]
pub(super) struct Ended {
    /// The last lines, for a failure, after the first ones of the command that came last.
    pub(super) last: Vec<String>,
    /// How many lines the journal has no room for.
    pub(super) left_out: u64,
    /// Lines after these that are not in the journal yet: they go there with the step's end.
    pub(super) rest: Vec<String>,
}

/// Where a log goes, and what must not appear in it.
pub(super) struct Sink {
    pub(super) store: Store,
    pub(super) job: Uuid,
    pub(super) step: usize,
    pub(super) seq: watch::Sender<u64>,
    /// Bytes the job has logged.
    pub(super) used: Arc<AtomicUsize>,
    /// For the lines that the journal has no room for.
    pub(super) left_out: LeftOut,
    pub(super) secrets: Vec<String>,
}

impl Log {
    /// Begins a log; it ends when all senders are gone.
    pub(super) fn start(sink: Sink) -> (mpsc::Sender<String>, Self) {
        let (sender, lines) = mpsc::channel(LOG_QUEUE.most);
        (
            sender,
            Self {
                task: tokio::spawn(collect(sink, lines)),
            },
        )
    }

    /// Waits until all that came is collected.
    pub(super) async fn end(self) -> Ended {
        self.task.await.unwrap_or_default()
    }
}

async fn collect(mut sink: Sink, mut lines: mpsc::Receiver<String>) -> Ended {
    let mut last = Last::new(FAILURE_BYTES.most, FAILURE_LINES.most);
    let mut head = Head::default();
    let mut noise = Last::new(FAILURE_BYTES.most, FAILURE_HEAD.most);
    let mut tail = Last::new(STEP_LOG_END.most, usize::MAX);
    let mut batch = Vec::new();
    let mut batched = 0;
    loop {
        let next = if batch.is_empty() {
            Ok(lines.recv().await)
        } else {
            timeout(BATCH_TIME, lines.recv()).await
        };
        match next {
            Ok(Some(line)) => {
                let line = sink.redact(line);
                match is_noise(&line) {
                    true => {
                        noise.push(line.clone());
                    }
                    false => {
                        head.push(&line);
                        last.push(line.clone());
                    }
                }
                let bytes = line.len() + 1;
                if sink.used.fetch_add(bytes, Ordering::Relaxed) >= JOB_LOG.most {
                    sink.write(&mut batch).await;
                    batched = 0;
                    for line in tail.push(line) {
                        sink.left_out.push(&line).await;
                    }
                    continue;
                }
                if batched + bytes > LOG_BATCH.most {
                    sink.write(&mut batch).await;
                    batched = 0;
                }
                batched += bytes;
                batch.push(line);
            }
            Ok(None) => break,
            Err(_) => {
                sink.write(&mut batch).await;
                batched = 0;
            }
        }
    }
    batch.extend(tail.lines);
    let last = match last.lines.is_empty() {
        true => noise.lines.into(),
        false => head.before(last),
    };
    Ended {
        last,
        left_out: sink.left_out.end().await,
        rest: batch,
    }
}

/// Whether a line of a failure hides what counts: a compiler's warnings with the code they are about, and sums of
/// archives. The job's whole log has them.
fn is_noise(line: &str) -> bool {
    const MARKS: &[&str] = &[
        " warning: ",
        " note: ",
        "npm warn deprecated",
        "npm WARN deprecated",
        "--hash=sha",
        ": In function ",
        ": In member function ",
        "In file included from ",
    ];
    // `  123 |   code`, `      |   ^~~~`
    let is_code = || {
        let (before, _) = line.split_once('|')?;
        let before = before.trim_end_matches(' ');
        let number = before.trim_start_matches(' ');
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        Some(before.len() < line.len() && line.starts_with("  ") && is_number)
    };
    let is_fault = line.contains("error") || line.contains("fatal");
    !is_fault && (MARKS.iter().any(|mark| line.contains(mark)) || is_code().unwrap_or(false))
}

impl Sink {
    async fn write(&self, batch: &mut Vec<String>) {
        if batch.is_empty() {
            return;
        }
        let what = What::Output {
            step: self.step,
            lines: std::mem::take(batch),
        };
        match self.store.append(self.job, vec![what]).await {
            Ok(seq) => {
                self.seq.send_replace(seq);
            }
            // A failing log does not stop a job.
            Err(error) => tracing::warn!(job = %self.job, "lines of the log are lost: {error}"),
        }
    }

    fn redact(&self, line: String) -> String {
        redact(&self.secrets, line)
    }
}

/// Replaces secrets by stars.
pub(super) fn redact(secrets: &[String], text: String) -> String {
    // One may hold another, or begin where another ends: all are found before any is replaced.
    let found = secrets
        .iter()
        .flat_map(|secret| text.match_indices(secret.as_str()))
        .filter(|(_, secret)| !secret.is_empty());
    let mut places: Vec<(usize, usize)> =
        found.map(|(at, secret)| (at, at + secret.len())).collect();
    if places.is_empty() {
        return text;
    }
    places.sort_unstable();
    let mut hidden = String::with_capacity(text.len());
    let mut end = 0;
    for (from, to) in places {
        if from >= end {
            hidden.push_str(&text[end..from]);
            hidden.push_str("***");
        }
        end = end.max(to);
    }
    hidden.push_str(&text[end..]);
    hidden
}

/// How the output of a command begins.
const COMMAND: &str = "$ ";

/// The first lines of the command that came last.
#[derive(Default)]
struct Head {
    lines: Vec<String>,
    /// How many lines it has written in all.
    count: usize,
}

impl Head {
    fn push(&mut self, line: &str) {
        if line.starts_with(COMMAND) {
            *self = Self::default();
        }
        self.count += 1;
        if self.lines.len() < FAILURE_HEAD.most {
            self.lines.push(line.chars().take(HEAD_LINE).collect());
        }
    }

    /// Those of them that are not among the last lines, and then these.
    fn before(mut self, last: Last) -> Vec<String> {
        let is_command = self
            .lines
            .first()
            .is_some_and(|line| line.starts_with(COMMAND));
        let hidden = self.count.saturating_sub(last.lines.len());
        self.lines.truncate(hidden);
        if !is_command || self.lines.is_empty() {
            return last.lines.into();
        }
        let gap = hidden - self.lines.len();
        if gap > 0 {
            self.lines.push(format!("[... {gap} lines left out ...]"));
        }
        self.lines.into_iter().chain(last.lines).collect()
    }
}

/// A first line is shown up to this, in characters.
const HEAD_LINE: usize = 400;

/// The last lines of a log, in so many bytes and lines.
struct Last {
    lines: VecDeque<String>,
    bytes: usize,
    most_bytes: usize,
    most_lines: usize,
}

impl Last {
    fn new(most_bytes: usize, most_lines: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            most_bytes,
            most_lines,
        }
    }

    /// Takes a line, and gives those that it has no room for any more.
    fn push(&mut self, line: String) -> Vec<String> {
        let mut gone = Vec::new();
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > self.most_bytes || self.lines.len() > self.most_lines {
            let Some(line) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= line.len() + 1;
            gone.push(line);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_protocol::budget::LINE;

    fn kept(most_bytes: usize, most_lines: usize, lines: &[String]) -> Last {
        let mut last = Last::new(most_bytes, most_lines);
        for line in lines {
            last.push(line.clone());
        }
        last
    }

    fn shown(lines: &[&str], most: usize) -> Vec<String> {
        let mut head = Head::default();
        let mut last = Last::new(1000, most);
        for line in lines {
            head.push(line);
            last.push((*line).to_owned());
        }
        head.before(last)
    }

    #[tokio::test]
    async fn what_the_journal_has_no_room_for_is_in_a_file_without_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs/1.0");
        let left_out = Arc::new(AtomicUsize::new(0));
        let sink = Sink {
            store: Store::open(&dir.path().join("cid.db")).unwrap(),
            job: Uuid::nil(),
            step: 0,
            seq: watch::Sender::new(0),
            used: Arc::new(AtomicUsize::new(JOB_LOG.most)),
            left_out: LeftOut::new(path.clone(), Arc::clone(&left_out)),
            secrets: vec!["hunter2".into()],
        };
        let (lines, log) = Log::start(sink);
        let all: Vec<String> = (0..50_000).map(|n| format!("{n} hunter2")).collect();
        for line in &all {
            lines.send(line.clone()).await.unwrap();
        }
        drop(lines);
        let ended = log.end().await;
        let hidden: Vec<String> = all.iter().map(|l| l.replace("hunter2", "***")).collect();
        let (before, after) = hidden.split_at(usize::try_from(ended.left_out).unwrap());
        assert_eq!(ended.rest, after);
        let file = std::fs::read_to_string(&path).unwrap();
        assert!(file.lines().eq(before.iter()));
        // Past the bound of the whole job lines are counted alone.
        left_out.store(cid_protocol::budget::JOB_OUTPUT.most, Ordering::Relaxed);
        let mut more = LeftOut::new(path.clone(), left_out);
        more.push("lost").await;
        assert_eq!(more.end().await, 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), file);
    }

    #[test]
    fn a_failure_shows_how_its_command_began() {
        let many: Vec<String> = (0..30).map(|n| format!("line {n}")).collect();
        let mut lines = vec!["$ first", "a", "$ npm ci", "npm error code E404"];
        lines.extend(many.iter().map(String::as_str));
        let told = shown(&lines, 3);
        assert_eq!(told[..2], ["$ npm ci", "npm error code E404"]);
        let gap = "[... 19 lines left out ...]";
        assert_eq!(
            told[FAILURE_HEAD.most..],
            [gap, "line 27", "line 28", "line 29"]
        );
        // All of it is there: nothing is shown twice.
        assert_eq!(shown(&["$ x", "a", "b"], 3), ["$ x", "a", "b"]);
        assert_eq!(shown(&["$ x", "a", "b"], 2), ["$ x", "a", "b"]);
        // Another step's lines, of no command.
        assert_eq!(shown(&["a", "b", "c"], 2), ["b", "c"]);
    }

    #[test]
    fn no_part_of_a_secret_shows_that_holds_another() {
        let secrets = ["hunter2", "hunter2-live", "in-hunter2-live-too", "live-end"];
        for listed in [secrets.to_vec(), secrets.into_iter().rev().collect()] {
            let listed: Vec<String> = listed.into_iter().map(String::from).collect();
            let told = redact(
                &listed,
                "a hunter2 b hunter2-live c in-hunter2-live-too".into(),
            );
            assert_eq!(told, "a *** b *** c ***");
            let told = redact(&listed, "hunter2-live-end, nothing".into());
            assert_eq!(told, "***, nothing");
        }
    }

    #[test]
    fn warnings_of_a_compiler_do_not_hide_its_error() {
        for line in [
            "core/x.c:12:3: warning: \u{2018}f\u{2019} is deprecated [-Wdeprecated-declarations]",
            "   12 |   f(a);",
            "      |   ^~~~",
            "/usr/include/x.h:5:1: note: declared here",
            "core/x.c: In function \u{2018}main\u{2019}:",
            "npm warn deprecated glob@7.2.3: Glob versions prior to v9 are no longer supported",
            "    --hash=sha256:00112233 \\",
        ] {
            assert!(is_noise(line), "{line}");
        }
        for line in [
            "/usr/bin/ld: cannot find -lpython3.12: No such file or directory",
            "x.c:1:2: error: unknown type name; warning: x",
            "collect2: error: ld returned 1 exit status",
            "npm error code E404",
            "  a | b",
            "| x",
            "  File \"x.py\", line 3, in f",
        ] {
            assert!(!is_noise(line), "{line}");
        }
    }

    #[test]
    fn last_lines_are_kept_in_so_many_lines_and_bytes() {
        let short = vec![String::from("a"); FAILURE_LINES.most + 1];
        let last = kept(FAILURE_BYTES.most, FAILURE_LINES.most, &short);
        assert_eq!(last.lines.len(), FAILURE_LINES.most);
        let long = vec!["x".repeat(LINE.most); FAILURE_LINES.most];
        let mut last = kept(FAILURE_BYTES.most, FAILURE_LINES.most, &long);
        let bytes: usize = last.lines.iter().map(|line| line.len() + 1).sum();
        assert!(
            bytes <= FAILURE_BYTES.most && last.lines.len() > 1,
            "{bytes}"
        );
        let room = last.lines.len();
        assert_eq!(last.push("y".repeat(LINE.most)).len(), 1);
        assert_eq!(last.lines.len(), room);
    }
}
