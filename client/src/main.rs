//! `cictl`, the command line of cid. The verbs are in `cli/`, what people see is
//! made in `ui/`, and everything about the daemon is in the library.

mod cli;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
