//! Workspaces whose processes are stopped, and started again. What is so already takes no job.

use super::{Begun, Named, begin, bind, refuse_stage, resolve};
use crate::{
    authz::Claim,
    cid::Cid,
    domain::WorkspaceState,
    error::Error,
    plan::{Order, Staying},
};

/// Begins to stop a workspace's processes; with `sleeps` the next visitor starts them again. `None`: they are
/// stopped already.
///
/// # Errors
/// There is no such workspace, it is a stage, nothing is known of its project, a job of it is live, or the actor may not.
pub async fn stop(
    cid: &Cid,
    claim: Claim,
    named: &Named,
    sleeps: bool,
) -> Result<Option<Begun>, Error> {
    match sleeps {
        false => {
            change(
                cid,
                claim,
                named,
                &Staying::STOP,
                &[WorkspaceState::Stopped],
            )
            .await
        }
        true => {
            let is_so = &[WorkspaceState::Stopped, WorkspaceState::Asleep];
            change(cid, claim, named, &Staying::SLEEP, is_so).await
        }
    }
}

/// Begins to start the processes of a workspace that is stopped or asleep. `None`: they are not stopped.
///
/// # Errors
/// As of [`stop`].
pub async fn start(cid: &Cid, claim: Claim, named: &Named) -> Result<Option<Begun>, Error> {
    change(cid, claim, named, &Staying::START, &[WorkspaceState::Ready]).await
}

/// `is_so`: the states in which there is nothing to do.
async fn change(
    cid: &Cid,
    claim: Claim,
    named: &Named,
    row: &'static Staying,
    is_so: &[WorkspaceState],
) -> Result<Option<Begun>, Error> {
    if let Some(why) = row.not_of_stage {
        refuse_stage(named, why)?;
    }
    let workspace = resolve(cid, named).await?;
    let permit = bind(cid, claim, &workspace).await?;
    // In this order: without a live job what is read after it is settled.
    let is_live = cid.store.live_job(workspace.id).await?.is_some();
    let now = cid.store.workspace(workspace.id).await?;
    let state = now.map_or(workspace.state, |now| now.state);
    if is_so.contains(&state) && !is_live {
        return Ok(None);
    }
    // A broken project file must not keep an app from its visitors, or a harmful one running.
    let project = cid.projects.standing(workspace.project.as_str())?;
    let state = workspace.state;
    let begun = begin(cid, permit, workspace, state, Order::Stay { row, project });
    begun.await.map(Some)
}
