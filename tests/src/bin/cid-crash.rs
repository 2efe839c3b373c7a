//! The daemon with a hook: it kills itself as `kill -9` would, or writes down the engine's points
//! it passes. For tests; the shipped daemon has no such points.
//!
//! `CID_CRASH_AT=STEP/PHASE` kills it at that point, e.g. `clone.v1/AppliedUnwritten`; a job's own
//! points have an empty STEP. `CID_CRASH_TRACE=FILE` appends each point as a line.

use async_trait::async_trait;
use cid_daemon::engine::{Hooks, Point};
use nix::{
    sys::signal::{Signal, kill},
    unistd::getpid,
};
use std::{env, fs::OpenOptions, io::Write, process::ExitCode, sync::Arc};

struct Crash {
    at: Option<String>,
    trace: Option<String>,
}

#[async_trait]
impl Hooks for Crash {
    async fn at(&self, point: Point) {
        let name = format!("{}/{:?}", point.step, point.phase);
        if let Some(path) = &self.trace {
            let file = OpenOptions::new().create(true).append(true).open(path);
            // A point that is not written down is missed by the test that reads them.
            let _ = file.and_then(|mut file| writeln!(file, "{name}"));
        }
        if self.at.as_deref() == Some(&name) {
            let _ = kill(getpid(), Signal::SIGKILL);
            std::future::pending::<()>().await;
        }
    }
}

fn main() -> ExitCode {
    let hooks = Crash {
        at: env::var("CID_CRASH_AT").ok(),
        trace: env::var("CID_CRASH_TRACE").ok(),
    };
    cid_daemon::cli::main(Arc::new(hooks))
}
