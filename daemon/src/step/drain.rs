//! Waits until the instance that served has answered what it was asked.

use super::inspect::is_unchanged;
use crate::{
    config::Limits,
    domain::UnitName,
    engine::{Cx, Step},
    system::probe::App,
};
use cid_protocol::{fault::Fault, run_file::RunFile};
use serde::{Deserialize, Serialize};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

const PAUSE: Duration = Duration::from_millis(25);
/// A worker of nginx that chose the old socket a moment ago has connected by then.
const IDLE: Duration = Duration::from_millis(150);
/// WebSockets and downloads that last longer end with the instance.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until nobody is connected to an instance that nobody new gets to, at most half a minute.
#[derive(Serialize, Deserialize)]
pub struct Drain {
    /// That instance.
    pub present: UnitName,
    /// Who is still connected then is not cut off: the job fails.
    #[serde(default)]
    pub must: bool,
}

impl Step for Drain {
    const KIND: &'static str = "drain.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "let the old ones answer".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        (*limits.step).max(LIMIT * 2)
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) {
            return Ok(());
        }
        let Ok(run_file) = RunFile::read(&cx.sys().layout.run_file(&self.present)) else {
            return Ok(());
        };
        let address = App::of(&run_file);
        let begin = Instant::now();
        let mut busy = begin;
        while busy.elapsed() < IDLE {
            let (probe, app) = (Arc::clone(&cx.sys().probe), address.clone());
            let connections = spawn_blocking(move || probe.connections(&app)).await;
            let connections = connections.unwrap_or_default();
            if connections > 0 {
                busy = Instant::now();
            }
            if begin.elapsed() > LIMIT && self.must {
                return Err(Fault::new(format!(
                    "cannot put it to sleep: {connections} connections are open after {} s",
                    LIMIT.as_secs()
                ))
                .hint("cictl stop cuts them off"));
            }
            if begin.elapsed() > LIMIT {
                cx.note(format!(
                    "{connections} connections to the old processes are cut after {} s",
                    LIMIT.as_secs()
                ));
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = cx.cancel.cancelled() => return Err(Fault::cancelled()),
            }
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
