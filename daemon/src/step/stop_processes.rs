//! Stops the workspace's processes.

use super::{retire_instance::listens, start_processes::restore, turn_away::is_away};
use crate::{
    domain::UnitName,
    engine::{Cx, Step},
    store::Debt,
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Stops the workspace's processes and removes their program files, of all its instances.
#[derive(Serialize, Deserialize)]
pub struct StopProcesses {
    /// Commands that people run in the workspace end too.
    pub for_good: bool,
}

impl Step for StopProcesses {
    const KIND: &'static str = "stop-processes.v3";
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
        if self.for_good {
            cx.sys().sessions.end(cx.unit());
        }
        if before.is_empty() {
            if !is_away(&cx.sys().layout, cx.unit()) {
                cx.note("supervisord had no program of it");
            }
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
            // Visitors who wait come next.
            if !self.for_good {
                listens(instance, cx).await?;
            }
        }
        Ok(())
    }
}
