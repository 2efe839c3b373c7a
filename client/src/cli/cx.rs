//! What every verb is given: how to print, and where the daemon is.

use super::{Failure, agent::Agent};
use crate::ui::text;
use cid_client::Client;
use clap::ValueEnum;
use serde::Serialize;
use std::{
    cell::OnceCell,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people; in a terminal lists leave out columns that have no room
    #[default]
    Human,
    /// For people, with all columns
    Wide,
    /// One JSON document on standard output; events before it, a line each
    Json,
}

/// How to print, and where the daemon is.
#[derive(Debug)]
pub(crate) struct Cx {
    format: Format,
    socket: PathBuf,
    is_interactive: bool,
    /// Asks for passwords until the end.
    agent: OnceCell<Option<Agent>>,
}

impl Cx {
    pub(crate) fn new(format: Format, socket: PathBuf, is_interactive: bool) -> Self {
        Self {
            format,
            socket,
            is_interactive,
            agent: OnceCell::new(),
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// How many columns a list may have; `None`: as many as it likes.
    pub(crate) fn width(&self) -> Option<usize> {
        match self.format {
            Format::Human => comfy_table::Table::new().width().map(usize::from),
            Format::Wide | Format::Json => None,
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let client = Client::connect(&self.socket).await?;
        if !self.is_interactive {
            return Ok(client);
        }
        self.agent.get_or_init(Agent::start);
        Ok(client.interactive())
    }

    /// Prints a verb's result: the document, or what people read instead.
    pub(crate) fn print(
        &self,
        document: &impl Serialize,
        human: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => json_line(document),
            Format::Human | Format::Wide => line(&human()),
        }
        .map_err(Failure::from)
    }

    /// The same of a list; `none` tells people that it is empty.
    pub(crate) fn print_list<T: Serialize>(
        &self,
        items: &[T],
        none: &str,
        human: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if items.is_empty() {
            self.say(none);
        }
        self.print(&items, human)
    }

    /// Tells people something on the way; in JSON there is nobody to tell.
    pub(crate) fn say(&self, sentence: &str) {
        if !self.is_json() {
            text::say(sentence);
        }
    }
}

/// Prints one line, or several, on standard output; nothing for an empty text.
pub(crate) fn line(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints one JSON document as one line on standard output.
pub(crate) fn json_line(document: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}
