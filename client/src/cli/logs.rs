//! `cictl logs`

use super::{Cx, Outcome, Target, cx};
use crate::ui::text;
use cid_client::{Exit, LogLine, LogOptions};
use clap::Args;
use futures::StreamExt as _;
use std::io::{self, Write as _};

/// Show what a workspace's processes write
///
/// Each line begins with the process's type unless one process is asked for. What a
/// terminal would act upon is left out, also where the output goes to a file or another
/// program: what reads it may hand it on to a terminal. In JSON every line is a document
/// of its own.
#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    target: Target,
    /// Only this process, e.g. web
    process: Option<String>,
    /// Stay, and show what comes
    #[arg(short, long)]
    follow: bool,
    /// How many of each process's last lines to begin with
    #[arg(
        short = 'n',
        long,
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    lines: u32,
    /// Each line byte for byte as the process wrote it, colours and all
    #[arg(long)]
    raw: bool,
}

impl Logs {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let is_one = self.process.is_some();
        let options = LogOptions {
            process: self.process.clone(),
            follow: self.follow,
            lines: self.lines,
            after: None,
        };
        let mut lines = client
            .logs(&self.target.email, self.target.project(), options)
            .await?;
        while let Some(line) = lines.next().await {
            let line = line?;
            if cx.is_json() {
                cx::json_line(&line)?;
            } else {
                io::stdout().write_all(&printed(&line, is_one, self.raw))?;
                io::stdout().flush()?;
            }
        }
        Ok(Exit::Done)
    }
}

/// A line as it is printed: without what could play tricks on a terminal, unless it is wanted as the
/// process wrote it.
fn printed(line: &LogLine, is_one: bool, is_raw: bool) -> Vec<u8> {
    let mut printed = Vec::new();
    if !is_one {
        printed.extend(format!("{:<8} | ", text::clean(&line.process)).into_bytes());
    }
    match is_raw {
        true => printed.extend(&line.line),
        false => printed.extend(text::clean(&String::from_utf8_lossy(&line.line)).into_bytes()),
    }
    printed.push(b'\n');
    printed
}

#[cfg(test)]
mod tests {
    use super::*;
    use cid_client::LogPlace;

    #[test]
    fn escapes_are_shown_to_who_asks_for_them() {
        let line = LogLine {
            process: "web".into(),
            line: b"\x1b[31mGET /\x1b[0m \xff".to_vec(),
            end: LogPlace::default(),
        };
        assert_eq!(
            printed(&line, false, false),
            "web      | GET / \u{fffd}\n".as_bytes()
        );
        assert_eq!(printed(&line, true, true), b"\x1b[31mGET /\x1b[0m \xff\n");
    }
}
