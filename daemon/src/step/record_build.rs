//! Records which build runs in a stage.

use super::{Inspect, back_up::tidy_backups};
use crate::{
    domain::Deployment,
    engine::{Cx, Plan, Step},
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Records which build runs in a stage from now on, and in the end removes copies of the database that are older
/// than the builds to go back to.
#[derive(Serialize, Deserialize)]
pub struct RecordBuild {
    /// The build's number.
    pub number: u32,
    /// Its commit.
    pub commit: String,
    /// On whose behalf.
    pub by: String,
    /// Release commands were to run.
    pub releases: bool,
    /// The copy of the database that was made before.
    pub backup: Option<PathBuf>,
}

impl RecordBuild {
    /// What the plan of a job is to record, as the ledger has it; `None`: it deploys no build.
    pub fn planned(plan: &serde_json::Value) -> Option<Self> {
        let plan: Plan = serde_json::from_value(plan.clone()).ok()?;
        let step = plan
            .steps
            .into_iter()
            .find(|step| step.kind == Self::KIND)?;
        serde_json::from_value(step.parameters).ok()
    }
}

impl Step for RecordBuild {
    const KIND: &'static str = "record-build.v1";
    const HAS_FINISH: bool = true;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        format!("write down that build {} runs", self.number)
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let new = Deployment {
            workspace: cx.workspace(),
            build: self.number,
            commit: self.commit.clone(),
            job: cx.job(),
            by: self.by.clone(),
            at: jiff::Timestamp::now(),
            released: self.releases && !cx.output::<Inspect>()?.recipe.release.is_empty(),
            backup: self.backup.clone(),
            fell: false,
        };
        Ok(cx.store().add_deployment(new).await?)
    }

    async fn undo(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        Ok(cx.store().forget_deployment(cx.job()).await?)
    }

    async fn finish(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if cx.is_taken_back() {
            return Ok(());
        }
        tidy_backups(cx.directory(), false, cx).await
    }
}
