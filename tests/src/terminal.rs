//! Commands on a terminal, driven as a person would: by Python, so that it can be done in a host as well.

use crate::command::Output;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const SCRIPT: &str = include_str!("terminal.py");

/// How a command on a terminal went.
#[derive(Debug)]
pub struct Dialogue {
    /// Exit status; 128 + signal when it was killed.
    pub status: Option<i32>,
    /// All that it wrote on the terminal.
    pub written: String,
    /// The terminal is set as it was before.
    pub restored: bool,
}

impl Dialogue {
    /// The command line that runs a command on a terminal and takes these steps there; the script says
    /// which there are.
    #[must_use]
    pub fn words(steps: &Value, command: &[&str]) -> Vec<String> {
        let script = ["python3", "-c", SCRIPT].map(str::to_owned);
        let words = script.into_iter().chain([steps.to_string()]);
        words
            .chain(command.iter().map(|&word| word.to_owned()))
            .collect()
    }

    /// What such a command line has said.
    ///
    /// # Errors
    /// A step was not reached, or the command did not end.
    pub fn of(output: &Output) -> Result<Self> {
        ensure!(output.status == 0, "the script failed: {output}");
        let told = output.json()?;
        let (failed, written) = (&told["failed"], &told["written"]);
        ensure!(failed.is_null(), "no {failed} in: {written}");
        let status = told["status"].as_i64().map(i32::try_from).transpose()?;
        Ok(Self {
            status,
            written: written.as_str().context("nothing written")?.to_owned(),
            restored: told["restored"] == true,
        })
    }
}
