//! Stops the instance that served, and removes what it leaves.

use super::{
    inspect::is_unchanged,
    make_directory::{RUN, purge},
    start_processes::restore,
    switch::{answer_by, has_web_socket},
};
use crate::{
    config::Limits,
    domain::UnitName,
    engine::{Cx, Step},
    store::Debt,
    system::probe::App,
};
use cid_kernel::fs;
use cid_protocol::{
    fault::{Fault, FaultContext},
    request::RemoveSocket,
    run_file::{RunFile, WEB},
};
use serde::{Deserialize, Serialize};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(50);
/// How long processes that start again may take until they listen; then the way back goes on without them.
const LISTENS_WITHIN: Duration = Duration::from_secs(60);

/// Stops the instance that served. Its run file, socket, port and own packages go when nothing can be taken back
/// any more.
#[derive(Serialize, Deserialize)]
pub struct RetireInstance {
    /// That instance.
    pub present: UnitName,
    /// The one that serves now.
    pub next: UnitName,
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
}

impl Step for RetireInstance {
    const KIND: &'static str = "retire-instance.v1";
    const HAS_FINISH: bool = true;
    /// From here on a person deploys the earlier build or commit again instead.
    const ENDS_CANCELLING: bool = true;
    /// Its program file.
    type Before = Option<String>;
    type Output = ();

    fn label(&self) -> String {
        "stop the old processes".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.purge
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        cx.sys().supervisor.read(&self.present)
    }

    async fn apply(&self, _: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) {
            return Ok(());
        }
        // A reboot meanwhile may have given the name to the one that listened first.
        if has_web_socket(&self.next, cx) {
            answer_by(&self.directory, &self.next, cx).await?;
        }
        let effect = cx.sys().supervisor.remove(&self.present).await?;
        cx.owe_effect(effect, Debt::SupervisorUpdate).await
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        match is_unchanged(cx) {
            true => Ok(()),
            false => {
                restore(&self.present, before, cx).await?;
                listens(&self.present, cx).await
            }
        }
    }

    async fn finish(&self, _: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        if cx.is_taken_back() || is_unchanged(cx) {
            return Ok(());
        }
        let number = self.present.number();
        let released = cx.store().release_port(cx.workspace(), Some(number)).await;
        released.cannot("write the ledger")?;
        let request = RemoveSocket {
            folder: self.directory.join(RUN),
            instance: number,
        };
        if let Err(fault) = cx.ask(cx.user(), request).await {
            cx.note(format!("an old socket stays: {fault}"));
        }
        let layout = &cx.sys().layout;
        let own = |instance| {
            let run_file = RunFile::read(&layout.run_file(instance)).ok()?;
            run_file.own_environment(&self.directory)
        };
        if let Some(packages) =
            own(&self.present).filter(|old| own(&self.next).as_ref() != Some(old))
        {
            purge(&packages, cx).await?;
        }
        fs::remove_file(&layout.run_file(&self.present)).map(drop)
    }
}

/// Waits until the web process of an instance that was started again listens: only then can it have visitors.
pub(super) async fn listens(instance: &UnitName, cx: &Cx) -> Result<(), Fault> {
    let Ok(run_file) = RunFile::read(&cx.sys().layout.run_file(instance)) else {
        return Ok(());
    };
    if !run_file.processes.contains_key(WEB) {
        return Ok(());
    }
    let (address, begin) = (App::of(&run_file), Instant::now());
    while !cx.sys().probe.takes(&address).await {
        if begin.elapsed() > LISTENS_WITHIN {
            cx.note("the earlier processes do not listen yet");
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = cx.cancel.cancelled() => return Err(Fault::cancelled()),
        }
    }
    Ok(())
}
