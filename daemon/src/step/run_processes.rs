//! Has supervisord run the processes of a workspace that is stopped or asleep.

use super::{last_lines::LogsBefore, start_processes::restore};
use crate::{
    domain::UnitName,
    engine::{Cx, Step},
    store::Artifact,
};
use cid_protocol::fault::{Fault, FaultContext};
use serde::{Deserialize, Serialize};

/// Has supervisord run the workspace's processes as they were before they were stopped.
#[derive(Serialize, Deserialize)]
pub struct RunProcesses {
    /// Which of its instances answers.
    pub instance: UnitName,
}

impl Step for RunProcesses {
    const KIND: &'static str = "run-processes.v1";
    /// The program file that was there.
    type Before = Option<String>;
    type Output = LogsBefore;

    fn label(&self) -> String {
        "start the processes".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        cx.sys().supervisor.read(&self.instance)
    }

    async fn apply(&self, _: &Self::Before, cx: &Cx) -> Result<LogsBefore, Fault> {
        let program = cx.store().artifact(cx.workspace(), Artifact::Program).await;
        let program = program.cannot("read the ledger")?;
        let program = program.ok_or_else(|| {
            Fault::new("cannot start the processes: it is not written down what they are")
                .hint("delete the workspace and create it again")
        })?;
        let before = LogsBefore::look(&cx.sys().layout.app_log_dir(cx.unit()));
        cx.sys().supervisor.put(&self.instance, &program).await?;
        Ok(before)
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        restore(&self.instance, before, cx).await
    }
}
