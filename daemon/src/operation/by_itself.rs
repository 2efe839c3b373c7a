//! What cid did by itself is in the audit log too.

use crate::{
    authz::Action,
    cid::Cid,
    domain::{ProjectName, Workspace},
    store::{AuditLine, Verdict},
};
use uuid::Uuid;

/// A job that nobody asked for by a call.
pub(crate) struct ByItself<'a> {
    /// On what occasion.
    pub by: &'static str,
    /// What a person would have called.
    pub rpc: &'static str,
    /// The right that it would have taken.
    pub action: Action,
    /// Its project.
    pub project: &'a ProjectName,
    /// The workspace it is about.
    pub workspace: Option<&'a Workspace>,
    /// The number of the build it is about.
    pub build: Option<u32>,
    /// The job.
    pub job: Uuid,
}

impl ByItself<'_> {
    /// Records it. A failure is logged: the job runs all the same.
    pub(crate) async fn record(&self, cid: &Cid) {
        let Self {
            by, project, job, ..
        } = self;
        let of = |text: &dyn Fn(&Workspace) -> String| self.workspace.map(text).unwrap_or_default();
        let line = AuditLine {
            id: 0,
            at: jiff::Timestamp::now(),
            uid: nix::unistd::geteuid().as_raw(),
            account: (*by).to_owned(),
            pid: std::process::id(),
            door: (*by).to_owned(),
            rpc: self.rpc.to_owned(),
            action: self.action.id().to_owned(),
            email: of(&|workspace| workspace.owner.to_string()),
            project: project.to_string(),
            workspace: of(&|workspace| workspace.name.to_string()),
            job: job.to_string(),
            verdict: Verdict::Allowed,
            reason: String::new(),
            outcome: "OK".into(),
            program: String::new(),
            build: self.build.unwrap_or_default(),
        };
        tracing::info!(
            target: "audit",
            PROJECT = project.as_str(), job = line.job, action = line.action, door = line.door,
            "the {by} of {project}: {}", line.action
        );
        if let Err(error) = cid.store.write_audit(vec![line]).await {
            tracing::warn!("a line of the audit log is not in the ledger: {error}");
        }
    }
}
