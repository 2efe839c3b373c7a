//! What triggers did is in the audit log too.

use crate::{
    authz::Action,
    cid::Cid,
    domain::{ProjectName, Workspace},
    operation::ByItself,
};
use uuid::Uuid;

/// Records a job that a trigger began. A failure is logged: the job runs all the same.
pub(super) async fn began(
    cid: &Cid,
    project: &ProjectName,
    action: Action,
    workspace: Option<&Workspace>,
    build: Option<u32>,
    job: Uuid,
) {
    let began = ByItself {
        by: "trigger",
        rpc: match action {
            Action::Deploy => "/cid.v1.Workspaces/Deploy",
            Action::DeleteAny => "/cid.v1.Workspaces/Delete",
            Action::Promote => "/cid.v1.Stages/Promote",
            _ => "/cid.v1.Builds/Start",
        },
        action,
        project,
        workspace,
        build,
        job,
    };
    began.record(cid).await;
}
