//! The daemon `cid`; [`cid_daemon::cli`] has its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    cid_daemon::cli::main(std::sync::Arc::new(cid_daemon::engine::NoHooks))
}
