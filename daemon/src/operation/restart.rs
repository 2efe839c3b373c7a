//! Jobs that leave a workspace where it is.

use super::{
    Begun, NOTHING_ELSE, Named, begin, bind, create::refuse_full_disk, project_of, refuse_stage,
    resolve,
};
use crate::{authz::Claim, cid::Cid, config::Project, error::Error, plan::Order};
use std::sync::Arc;

/// Begins to restart a workspace's processes.
///
/// # Errors
/// There is no such workspace, its project has no file, a job of it is live, or the actor may not.
pub async fn restart(cid: &Cid, claim: Claim, named: &Named) -> Result<Begun, Error> {
    stay(cid, claim, named, |project| Order::Restart { project }).await
}

/// Begins to bring a workspace up to date while it serves.
///
/// # Errors
/// As of [`restart`].
pub async fn deploy(cid: &Cid, claim: Claim, named: &Named) -> Result<Begun, Error> {
    refuse_stage(named, "a build comes to run there by cictl promote")?;
    stay(cid, claim, named, |project| Order::Deploy { project }).await
}

/// Begins to give a workspace's people their access again.
///
/// # Errors
/// As of [`restart`].
pub async fn repair_access(cid: &Cid, claim: Claim, named: &Named) -> Result<Begun, Error> {
    refuse_stage(named, "nobody but its app gets at its files")?;
    stay(cid, claim, named, |project| Order::RepairAccess { project }).await
}

async fn stay(
    cid: &Cid,
    claim: Claim,
    named: &Named,
    order: fn(Arc<Project>) -> Order,
) -> Result<Begun, Error> {
    let workspace = resolve(cid, named).await?;
    let permit = bind(cid, claim, &workspace).await?;
    let order = order(project_of(cid, &workspace, NOTHING_ELSE)?);
    if let Order::Deploy { project } = &order {
        refuse_full_disk(cid, project, "a deployment")?;
    }
    let state = workspace.state;
    begin(cid, permit, workspace, state, order).await
}
