//! Deployments that were taken back, for all answers about a stage or a workspace.

use crate::{
    cid::Cid,
    domain::Workspace,
    engine::{Plan, Step as _},
    error::Error,
    step::{RecordBuild, UpdateTree},
    store::JobRow,
};
use jiff::Timestamp;
use std::collections::HashMap;
use uuid::Uuid;

/// The newest deployment of a workspace or a stage, which failed and was taken back.
#[derive(Clone, Debug)]
pub struct FailedDeployment {
    /// Its job.
    pub job: Uuid,
    /// When it had been taken back.
    pub at: Timestamp,
    /// The build that was to run in the stage.
    pub build: Option<u32>,
    /// Why it failed.
    pub message: String,
}

impl FailedDeployment {
    fn of(row: JobRow) -> Self {
        let planned = RecordBuild::planned(&row.plan);
        let message = row.failure.map(|failure| failure.message);
        Self {
            job: row.id,
            at: row.ended_at.unwrap_or(row.created_at),
            build: planned.map(|planned| planned.number),
            message: message.unwrap_or_else(|| "its job says why".into()),
        }
    }
}

/// A workspace's or a stage's newest deployment, where that failed.
///
/// # Errors
/// The ledger's.
pub async fn failed_deployment(
    cid: &Cid,
    workspace: &Workspace,
) -> Result<Option<FailedDeployment>, Error> {
    let mut rows = cid.store.failed_deployments(Some(workspace.id)).await?;
    Ok(rows.pop().map(FailedDeployment::of))
}

/// The same of all, by their number in the ledger.
///
/// # Errors
/// The ledger's.
pub async fn failed_deployments(cid: &Cid) -> Result<HashMap<i64, FailedDeployment>, Error> {
    let rows = cid.store.failed_deployments(None).await?;
    let by_number = |row: JobRow| (row.about.workspace(), FailedDeployment::of(row));
    Ok(rows.into_iter().map(by_number).collect())
}

/// Why the newest deployment of a workspace left its tree as it was, and when.
pub(super) async fn left_alone(cid: &Cid, workspace: &Workspace) -> Option<(String, Timestamp)> {
    let last = cid.store.last_deployment(workspace.id).await.ok()??;
    let plan: Plan = serde_json::from_value(last.plan).ok()?;
    let step = plan.steps.iter().position(|s| s.kind == UpdateTree::KIND)?;
    let notes = cid.store.notes(last.id).await.ok()?;
    let mut notes = notes.into_iter().filter(|(of, _)| *of == step);
    let (_, text) = notes.next()?;
    Some((text, last.ended_at.unwrap_or(last.created_at)))
}
