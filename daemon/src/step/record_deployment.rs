//! Records what runs now.

use super::{
    Inspect,
    inspect::is_unchanged,
    record_made::record,
    start_processes::{program, types},
};
use crate::{
    domain::UnitName,
    engine::{Cx, Step},
    store::Artifact,
};
use cid_protocol::fault::{Fault, FaultContext};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Records commit and program file of the instance that serves now, and what its start made in the workspace.
#[derive(Serialize, Deserialize)]
pub struct RecordDeployment {
    /// The instance.
    pub instance: UnitName,
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
}

/// What was recorded.
#[derive(Serialize, Deserialize)]
pub struct Before {
    program: Option<String>,
    commit: Option<String>,
}

impl Step for RecordDeployment {
    const KIND: &'static str = "record-deployment.v1";
    type Before = Before;
    type Output = ();

    fn label(&self) -> String {
        "write down what runs".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Before, Fault> {
        let id = cx.workspace();
        let program = cx.store().artifact(id, Artifact::Program).await;
        let workspace = cx.store().workspace(id).await;
        let workspace = workspace.cannot("read the ledger")?;
        Ok(Before {
            program: program.cannot("read the ledger")?,
            commit: workspace.and_then(|workspace| workspace.commit),
        })
    }

    async fn apply(&self, _: &Before, cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) {
            return Ok(());
        }
        let program = program(&self.instance, types(cx)?, false, cx)?;
        cx.record(Artifact::Program, Some(&program)).await?;
        let commit = cx.output::<Inspect>()?.commit;
        let recorded = cx.store().set_commit(cx.workspace(), Some(commit)).await;
        recorded.cannot("write the ledger")?;
        match cx.is_of_stage() {
            true => Ok(()),
            false => record(&self.directory, cx).await,
        }
    }

    async fn undo(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        cx.record(Artifact::Program, before.program.as_deref())
            .await?;
        let commit = before.commit.clone();
        let recorded = cx.store().set_commit(cx.workspace(), commit).await;
        recorded.cannot("write the ledger")
    }
}
