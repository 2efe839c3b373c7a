//! The end of a process's own log, for the job's.

use super::{RestartProcesses, RunProcesses, StartProcesses};
use crate::engine::Cx;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

const LINES: usize = 30;
const BYTES: u64 = 16 * 1024;

/// Each log's length in bytes before a start, by file name: what follows belongs to the new start.
#[derive(Default, Serialize, Deserialize)]
pub struct LogsBefore(pub BTreeMap<String, u64>);

impl LogsBefore {
    /// An unreadable log counts as empty.
    pub(super) fn look(dir: &Path) -> Self {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let length = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name, entry.metadata().ok()?.len()))
        };
        Self(entries.filter_map(length).collect())
    }

    /// Before this job started the processes.
    pub(super) fn of_job(cx: &Cx) -> Self {
        let restarted = cx.output::<RestartProcesses>().ok();
        let logs = restarted
            .or_else(|| cx.output::<StartProcesses>().ok())
            .or_else(|| cx.output::<RunProcesses>().ok());
        logs.unwrap_or_default()
    }
}

/// Reports the last lines that a process wrote since it was started.
pub(super) async fn last_lines(cx: &Cx, process: &str, before: &LogsBefore) {
    let dir = cx.sys().layout.app_log_dir(cx.unit());
    let name = format!("{process}.log");
    let from = before.0.get(&name).copied().unwrap_or_default();
    let lines = end_of(&dir.join(name), from);
    cx.line(match lines.is_empty() {
        true => format!("{process} has written nothing"),
        false => format!("last lines of {process}:"),
    })
    .await;
    for line in lines {
        cx.line(line).await;
    }
}

/// The end of a log, as text, from `from` on. A shorter log has been started anew.
fn end_of(path: &Path, from: u64) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let from = if from > length { 0 } else { from };
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES).max(from)))?;
        let mut end = Vec::new();
        file.take(BYTES).read_to_end(&mut end)?;
        Ok(end)
    };
    let end = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..]
        .iter()
        .map(|&line| line.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_start_wrote_what_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("web.log");
        fs::write(&log, "old\nnew\n").unwrap();
        assert_eq!(end_of(&log, 0), ["old", "new"]);
        assert_eq!(end_of(&log, 4), ["new"]);
        assert_eq!(end_of(&log, 8), Vec::<String>::new());
        assert_eq!(end_of(&log, 5000), ["old", "new"], "it was rotated");
        assert_eq!(end_of(&dir.path().join("none"), 0), Vec::<String>::new());
    }
}
