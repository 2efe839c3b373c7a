//! `cictl completions`

use super::{Cli, Outcome};
use cid_client::Exit;
use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};
use std::io::{self, Write as _};

/// Print a script that completes cictl's command line in a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cictl completions bash | sudo tee /etc/bash_completion.d/cictl")]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Outcome {
        // Written in one piece: the generator itself panics on a broken pipe.
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "cictl", &mut script);
        io::stdout().write_all(&script)?;
        Ok(Exit::Done)
    }
}
