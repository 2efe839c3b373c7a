//! The end of a process's own log, for the job's.

use crate::engine::Cx;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

const LINES: usize = 30;
const BYTES: u64 = 16 * 1024;

/// Tells the last lines that a process wrote.
pub(super) async fn last_lines(cx: &Cx, process: &str) {
    let dir = cx.sys().layout.app_log_dir(cx.unit());
    let lines = end_of(&dir.join(format!("{process}.log")));
    cx.line(match lines.is_empty() {
        true => format!("{process} has written nothing"),
        false => format!("last lines of {process}:"),
    })
    .await;
    for line in lines {
        cx.line(line).await;
    }
}

/// The end of a log, as text.
fn end_of(path: &Path) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
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
