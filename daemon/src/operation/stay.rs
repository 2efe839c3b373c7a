//! Jobs that leave a workspace where it is.

use super::{
    Begun, NOTHING_ELSE, Named, begin, bind, create::refuse_full_disk, project_of, refuse_stage,
    resolve,
};
use crate::{
    authz::Claim,
    cid::Cid,
    doctor::builds::is_changed,
    domain::{JobKind, Workspace},
    error::Error,
    plan::{Order, Staying},
};
use cid_kernel::fs;

/// Begins what this row says with a workspace.
///
/// # Errors
/// There is no such workspace, its project has no file, a job of it is live, the disk is full, it cannot be
/// done to a stage, or the actor may not.
pub async fn stay(
    cid: &Cid,
    claim: Claim,
    named: &Named,
    row: &'static Staying,
) -> Result<Begun, Error> {
    if let Some(why) = row.not_of_stage {
        refuse_stage(named, why)?;
    }
    let workspace = resolve(cid, named).await?;
    let permit = bind(cid, claim, &workspace).await?;
    let project = match workspace.is_stage() {
        // What runs there does not wait for its project's file to be mended.
        true => {
            let project = cid.projects.standing(workspace.project.as_str())?;
            cid.projects.with_stage(project, &workspace.name)
        }
        false => project_of(cid, &workspace, NOTHING_ELSE)?,
    };
    if let Some(what) = row.needs_room {
        refuse_full_disk(cid, &project, what)?;
    }
    if workspace.is_stage() && row.kind == JobKind::Restart {
        refuse_changed_build(cid, &workspace).await?;
    }
    let state = workspace.state;
    begin(cid, permit, workspace, state, Order::Stay { row, project }).await
}

/// A restart would have visitors get what nobody has tested.
async fn refuse_changed_build(cid: &Cid, stage: &Workspace) -> Result<(), Error> {
    let running = cid.store.running_builds(stage.project.clone()).await?;
    let Some((number, name)) = running.into_iter().find(|(_, name)| *name == stage.name) else {
        return Ok(());
    };
    let build = cid.store.build(stage.project.clone(), number).await?;
    let Some(build) = build.filter(|build| fs::exists(&build.directory)) else {
        return Ok(());
    };
    match is_changed(cid, &build).await {
        true => Err(Error::Precondition {
            message: format!(
                "build {number}, which {name} runs, has other files than those that were tested"
            ),
            hint: Some(format!(
                "deploy another build: cictl rollback {name} -p {0}, or cictl build {1} -p {0} --again and promote that",
                build.project, build.source.commit
            )),
        }),
        false => Ok(()),
    }
}
