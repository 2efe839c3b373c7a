//! What cid did by itself is in the audit log too.

use crate::{
    authz::Action,
    cid::Cid,
    domain::{ProjectName, Workspace},
    store::{AuditLine, Verdict},
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
    // What a person would have called.
    let rpc = match action {
        Action::Deploy => "/cid.v1.Workspaces/Deploy",
        Action::DeleteAny => "/cid.v1.Workspaces/Delete",
        Action::Promote => "/cid.v1.Stages/Promote",
        _ => "/cid.v1.Builds/Start",
    };
    let of = |text: &dyn Fn(&Workspace) -> String| workspace.map(text).unwrap_or_default();
    let line = AuditLine {
        id: 0,
        at: jiff::Timestamp::now(),
        uid: nix::unistd::geteuid().as_raw(),
        account: "trigger".into(),
        pid: std::process::id(),
        door: "trigger".into(),
        rpc: rpc.to_owned(),
        action: action.id().to_owned(),
        email: of(&|workspace| workspace.email.to_string()),
        project: project.to_string(),
        workspace: of(&|workspace| workspace.name.to_string()),
        job: job.to_string(),
        verdict: Verdict::Allowed,
        reason: String::new(),
        outcome: "OK".into(),
        program: String::new(),
        build: build.unwrap_or_default(),
    };
    tracing::info!(
        target: "audit",
        PROJECT = project.as_str(), job = line.job, action = line.action, door = line.door,
        "the trigger of {project}: {}", line.action
    );
    if let Err(error) = cid.store.write_audit(vec![line]).await {
        tracing::warn!("a line of the audit log is not in the ledger: {error}");
    }
}
