//! Restarts the workspace's processes.

use crate::{
    engine::{Cx, Step},
    system::Fault,
};
use serde::{Deserialize, Serialize};

/// Restarts the workspace's processes.
#[derive(Serialize, Deserialize)]
pub struct RestartProcesses {}

impl Step for RestartProcesses {
    const KIND: &'static str = "restart-processes.v1";
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "restart the processes".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        cx.sys().supervisor.restart(cx.unit()).await
    }

    /// A restart leaves nothing behind that could be taken back.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
