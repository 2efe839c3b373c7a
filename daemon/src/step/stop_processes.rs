//! Stops the workspace's processes for good.

use super::start_processes::restore;
use crate::{
    domain::UnitName,
    engine::{Cx, Step},
    store::Debt,
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Stops the workspace's processes and removes their program files, of all its instances.
#[derive(Serialize, Deserialize)]
pub struct StopProcesses {}

impl Step for StopProcesses {
    const KIND: &'static str = "stop-processes.v2";
    /// The program files that were there.
    type Before = Vec<(UnitName, String)>;
    type Output = ();

    fn label(&self) -> String {
        "stop the processes".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        let supervisor = &cx.sys().supervisor;
        let mut all = supervisor.list()?;
        all.retain(|instance| instance.workspace() == *cx.unit());
        let mut before = Vec::new();
        for instance in all {
            if let Some(program) = supervisor.read(&instance)? {
                before.push((instance, program));
            }
        }
        Ok(before)
    }

    async fn apply(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        cx.sys().sessions.end(cx.unit());
        if before.is_empty() {
            cx.note("supervisord had no program of it");
            return restore(cx.unit(), &None, cx).await;
        }
        for (instance, _) in before {
            let effect = cx.sys().supervisor.remove(instance).await?;
            cx.owe_effect(effect, Debt::SupervisorUpdate).await?;
        }
        Ok(())
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        for (instance, program) in before {
            cx.sys().supervisor.put(instance, program).await?;
        }
        Ok(())
    }
}
