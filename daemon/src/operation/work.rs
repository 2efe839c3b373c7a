//! Looks before a delete for work that exists nowhere else.

use crate::{
    cid::Cid,
    config::Project,
    domain::Workspace,
    error::Error,
    system::helpers::{Identity, WorkspaceUser, ask_once},
};
use cid_kernel::fs;
use cid_protocol::{
    fault::Fault,
    request::{Fetched, WorkReport, WorkStatus},
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Time limit for asking the project's remote.
const FETCH: Duration = Duration::from_secs(20);
/// Time limit for looking at the workspace, including the remotes of other repositories in it.
const LOOK: Duration = Duration::from_secs(80);
/// How long a look stays valid for the delete that follows it: a person has to read and answer.
const LOOKED: SignedDuration = SignedDuration::from_mins(10);

/// The current state of the project's remote: asked once, and only if needed.
pub(super) struct RemoteNow<'a> {
    cid: &'a Cid,
    workspace: &'a Workspace,
    fetched: OnceCell<Result<Fetched, Fault>>,
}

impl<'a> RemoteNow<'a> {
    pub(super) fn new(cid: &'a Cid, workspace: &'a Workspace) -> Self {
        Self {
            cid,
            workspace,
            fetched: OnceCell::new(),
        }
    }

    /// Brings the mirror up to date.
    async fn ask(&self) -> &Result<Fetched, Fault> {
        let fetch = || async {
            let project = self.cid.projects.get(self.workspace.project.as_str());
            let project = project.map_err(|error| Fault::new(error.to_string()))?;
            let branch = &self.workspace.branch;
            self.cid.engine.fetch(&project, branch, FETCH).await
        };
        self.fetched.get_or_init(fetch).await
    }

    /// Fails if a delete would lose work; otherwise returns what else goes with the workspace. Remotes are
    /// not asked about commits that were `judged` a moment ago.
    pub(super) async fn refuse_losing_work(
        &self,
        judged: Option<&str>,
    ) -> Result<WorkReport, Error> {
        let report = self.work(judged).await?;
        if report.loses_work() {
            return Err(Error::WorkWouldBeLost {
                email: self.workspace.owner.to_string(),
                report: Box::new(report),
            });
        }
        Ok(report)
    }

    /// A remote branch that is to be deleted must not hold commits that base lacks. A server that does not
    /// answer is left to the job, which reports it.
    pub(super) async fn refuse_losing_commits(&self, project: &Project) -> Result<(), Error> {
        match self.ask().await {
            Ok(fetched) if fetched.ahead > 0 => Err(Error::BranchWouldBeLost {
                branch: self.workspace.branch.clone(),
                base: project.git.base.to_string(),
                ahead: fetched.ahead,
            }),
            _ => Ok(()),
        }
    }

    /// What a workspace holds that exists nowhere else. The mirror is updated first: a branch that existed
    /// at the last fetch may be gone.
    async fn work(&self, judged: Option<&str>) -> Result<WorkReport, Error> {
        let (cid, workspace) = (self.cid, self.workspace);
        if !fs::exists(&workspace.directory) {
            return Ok(WorkReport::default());
        }
        let project = cid.projects.get(workspace.project.as_str()).ok();
        let request = |unasked: Option<String>, judged: Option<&str>| WorkStatus {
            directory: workspace.directory.clone(),
            mirror: cid.layout.mirror(&workspace.project),
            url: project.as_ref().map(|project| project.git.url.to_string()),
            unasked,
            judged: judged.map(str::to_owned),
        };
        if let Some(judged) = judged {
            let report = self.look(request(None, Some(judged))).await?;
            if report.fingerprint == judged {
                return Ok(report);
            }
        }
        let unasked = self.ask().await.as_ref().err();
        let unasked = unasked.map(|fault| format!("the project's remote cannot be asked: {fault}"));
        self.look(request(unasked, None)).await
    }

    async fn look(&self, request: WorkStatus) -> Result<WorkReport, Error> {
        let report = ask_once(
            self.cid.sys.helpers.as_ref(),
            Identity::Workspace(WorkspaceUser::of(self.workspace)),
            LOOK,
            self.cid.stopping.clone(),
            request,
        )
        .await;
        report.map_err(|fault| {
            // A fault with better advice is left alone.
            let discard = "delete it all the same, with whatever it holds: --discard";
            let hint = fault.hint.clone().unwrap_or_else(|| discard.to_owned());
            Error::Fault(fault.hint(hint))
        })
    }
}

/// A client that looked sends this with its delete. It need not be secret: a caller that may delete may also lose work.
pub(super) fn looked(report: &WorkReport) -> String {
    format!("{}.{}", Timestamp::now().as_second(), report.fingerprint)
}

/// The commits that a look found on remotes, unless the look has expired.
pub(super) fn judged(looked: &str) -> Option<&str> {
    let (at, fingerprint) = looked.split_once('.')?;
    let at = Timestamp::from_second(at.parse().ok()?).ok()?;
    let age = Timestamp::now().duration_since(at);
    let is_recent = !age.is_negative() && age < LOOKED && !fingerprint.is_empty();
    is_recent.then_some(fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_good_for_a_while() {
        let report = WorkReport {
            fingerprint: "abc".into(),
            ..WorkReport::default()
        };
        assert_eq!(judged(&looked(&report)), Some("abc"));
        assert_eq!(judged(&looked(&WorkReport::default())), None);
        let at = |age: i64| format!("{}.abc", Timestamp::now().as_second() - age);
        assert_eq!(judged(&at(590)), Some("abc"));
        for bad in [
            at(601),
            at(-60),
            "".into(),
            "abc".into(),
            ".abc".into(),
            "9e9.abc".into(),
        ] {
            assert_eq!(judged(&bad), None, "{bad}");
        }
    }
}
