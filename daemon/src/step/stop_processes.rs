//! Stops the workspace's processes for good.

use super::start_processes::restore;
use crate::{
    engine::{Cx, Step},
    store::Debt,
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Stops the workspace's processes and removes their program file.
#[derive(Serialize, Deserialize)]
pub struct StopProcesses {}

impl Step for StopProcesses {
    const KIND: &'static str = "stop-processes.v1";
    /// The program file that was there.
    type Before = Option<String>;
    type Output = ();

    fn label(&self) -> String {
        "stop the processes".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        cx.sys().supervisor.read(cx.unit())
    }

    async fn apply(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        if before.is_none() {
            cx.note("supervisord had no program of it");
        }
        cx.sys().sessions.end(cx.unit());
        let effect = cx.sys().supervisor.remove(cx.unit()).await?;
        cx.owe_effect(effect, Debt::SupervisorUpdate).await
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        restore(before, cx).await
    }
}
