//! A workspace goes, unless work would be lost with it.

use super::{
    Named, begin, bind, project_of, refuse_live_job, resolve,
    work::{self, RemoteNow},
};
use crate::{
    authz::Claim,
    cid::Cid,
    domain::{Workspace, WorkspaceState},
    error::Error,
    layout::DATA,
    plan::{BranchChoice, Looked, Order},
};
use cid_kernel::room;
use cid_protocol::request::WorkReport;
use uuid::Uuid;

/// How a workspace is to go.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// With whatever work it holds.
    pub discard: bool,
    /// With its branch on the remote.
    pub with_branch: bool,
    /// Also if that branch has commits that base lacks.
    pub force: bool,
    /// Only looks at what would be lost.
    pub look: bool,
    /// What an earlier look told, for this delete; see [`Deleted::looked`].
    pub looked: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Deleted {
    /// The job; `None` after a look alone.
    pub job: Option<Uuid>,
    /// What else goes with the workspace; `None` if nobody looked.
    pub report: Option<WorkReport>,
    /// What to bring back with the delete that follows a look.
    pub looked: String,
}

/// Begins to delete a workspace.
///
/// # Errors
/// Work would be lost, a job of the workspace is live, or the actor may not.
pub async fn delete(
    cid: &Cid,
    claim: Claim,
    named: &Named,
    how: &Deletion,
) -> Result<Deleted, Error> {
    if how.force && !how.with_branch {
        return Err(Error::invalid("force", "--force goes with --with-branch"));
    }
    let workspace = resolve(cid, named).await?;
    let permit = bind(cid, claim, &workspace).await?;
    refuse_used_stage(cid, &workspace, how)?;
    let branch = match how.with_branch {
        true => Some(BranchChoice {
            project: project_of(cid, &workspace, "leave --with-branch away")?,
            force: how.force,
        }),
        false => None,
    };
    refuse_live_job(cid, &workspace).await?;
    // The look needs a little space too.
    cid.store.ensure_room();
    room::of_units(&cid.layout.run_dir).ensure_room();
    let remote = RemoteNow::new(cid, &workspace);
    let judged = work::judged(&how.looked);
    let report = match how.discard {
        true => None,
        false => Some(remote.refuse_losing_work(judged).await?),
    };
    // After a look the job's own check is enough: it runs before anything changes.
    let has_looked = judged.is_some() && !how.look;
    if let Some(branch) = branch.as_ref().filter(|one| !one.force && !has_looked) {
        remote.refuse_losing_commits(&branch.project).await?;
    }
    if how.look {
        let looked = report.as_ref().map(work::looked).unwrap_or_default();
        return Ok(Deleted {
            job: None,
            report,
            looked,
        });
    }
    let looked = report.as_ref().map(|report| Looked {
        project: cid.projects.get(workspace.project.as_str()).ok(),
        judged: report.fingerprint.clone(),
    });
    let order = Order::Delete { branch, looked };
    let begun = begin(cid, permit, workspace, WorkspaceState::Deleting, order).await?;
    Ok(Deleted {
        job: Some(begun.job),
        report,
        looked: String::new(),
    })
}

/// A stage goes after its table in the project file, and its data with it.
fn refuse_used_stage(cid: &Cid, workspace: &Workspace, how: &Deletion) -> Result<(), Error> {
    if !workspace.is_stage() {
        return Ok(());
    }
    let (name, project) = (&workspace.name, workspace.project.as_str());
    let is_named = match cid.projects.all().get(project) {
        Some(Ok(file)) => file.stage(name).is_some(),
        // It may name it.
        Some(Err(_)) => true,
        None => false,
    };
    if is_named {
        return Err(Error::Conflict {
            message: format!("{name} is a stage of {project}"),
            hint: Some(format!(
                "take [stages.{name}] out of its project file first"
            )),
        });
    }
    if how.with_branch || how.look || !how.discard {
        return Err(Error::Precondition {
            message: format!(
                "deleting the stage {name} loses {}",
                workspace.directory.join(DATA).display()
            ),
            hint: Some("keep a copy of it, then add --yes --discard, without --with-branch".into()),
        });
    }
    Ok(())
}
