//! Before a delete: is there work that is nowhere else?

use super::Api;
use crate::{
    config::Project,
    domain::Workspace,
    error::Error,
    system::{
        Fault, fs,
        helpers::{Identity, WorkspaceUser, ask_once},
    },
};
use cid_protocol::request::{WorkReport, WorkStatus};
use std::time::Duration;

/// Asking the project's remote may take so long.
const FETCH: Duration = Duration::from_secs(20);
/// Looking at the workspace may take so long, with the remotes of other repositories in it.
const LOOK: Duration = Duration::from_secs(80);

impl Api {
    /// Refuses where a delete would lose work; otherwise says what else goes with the workspace.
    pub(super) async fn refuse_losing_work(
        &self,
        workspace: &Workspace,
    ) -> Result<WorkReport, Error> {
        let report = self.work_of(workspace).await?;
        if report.loses_work() {
            return Err(Error::WorkWouldBeLost {
                email: workspace.email.to_string(),
                report: Box::new(report),
            });
        }
        Ok(report)
    }

    /// A remote branch that is to go must not hold commits that base does not have. A server that
    /// does not answer is left to the job, which says so.
    pub(super) async fn refuse_losing_commits(
        &self,
        workspace: &Workspace,
        project: &Project,
    ) -> Result<(), Error> {
        let fetched = self.engine.fetch(project, &workspace.branch, FETCH).await;
        match fetched {
            Ok(fetched) if fetched.ahead > 0 => Err(Error::BranchWouldBeLost {
                branch: workspace.branch.clone(),
                base: project.git.base.to_string(),
                ahead: fetched.ahead,
            }),
            _ => Ok(()),
        }
    }

    /// The remote of a workspace's project; `None`: the project's file cannot be read.
    pub(super) fn url_of(&self, workspace: &Workspace) -> Option<String> {
        let project = self.projects.get(workspace.project.as_str()).ok()?;
        Some(project.git.url.to_string())
    }

    /// What a workspace holds that is nowhere else. The mirror is brought up to date first: a branch that
    /// was there at the last fetch may be gone.
    async fn work_of(&self, workspace: &Workspace) -> Result<WorkReport, Error> {
        if !fs::exists(&workspace.directory) {
            return Ok(WorkReport::default());
        }
        let project = self.projects.get(workspace.project.as_str());
        let unasked = match &project {
            Ok(project) => self
                .engine
                .fetch(project, &workspace.branch, FETCH)
                .await
                .err(),
            Err(error) => Some(Fault::new(error.to_string())),
        };
        let request = WorkStatus {
            directory: workspace.directory.clone(),
            mirror: self.layout.mirror(&workspace.project),
            url: self.url_of(workspace),
            unasked: unasked.map(|fault| format!("the project's remote cannot be asked: {fault}")),
            judged: None,
        };
        let identity = Identity::Workspace(WorkspaceUser::of(workspace));
        let report = ask_once(
            self.sys.helpers.as_ref(),
            identity,
            LOOK,
            self.stopping.clone(),
            request,
        )
        .await;
        report.map_err(|fault| {
            // A fault that knows better what to do is left alone.
            let discard = "delete it all the same, with whatever it holds: --discard";
            let hint = fault.hint.clone().unwrap_or_else(|| discard.to_owned());
            Error::Fault(fault.hint(hint))
        })
    }
}
