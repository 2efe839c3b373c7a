//! `cictl man`, hidden: the manual pages, for whoever makes a package.

use super::{Cli, Failure, Outcome};
use cid_client::Exit;
use clap::{Args, CommandFactory as _};
use std::path::PathBuf;

/// Write the manual pages of cictl and its verbs into a folder
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder, which exists
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Outcome {
        clap_mangen::generate_to(Cli::command(), &self.dir)
            .map_err(|error| Failure::Io("cannot write the manual pages", error))?;
        Ok(Exit::Done)
    }
}
