//! Pushes the workspace's branch: the one step of a create that only the remote can undo.

use super::{Fetch, Inspect};
use crate::{
    config::Limits,
    engine::{Cx, Step},
    store::Debt,
};
use cid_protocol::{
    fault::Fault,
    request::{BranchDeletion, DeleteBranch, Push, Remote},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Pushes the workspace's branch, unless the remote has it already.
#[derive(Serialize, Deserialize)]
pub struct PushBranch {
    /// The bare mirror, which holds the commit.
    pub mirror: PathBuf,
    /// The repository.
    pub remote: Remote,
    /// The workspace's branch.
    pub branch: String,
}

/// What there was and will be.
#[derive(Serialize, Deserialize)]
pub struct Before {
    /// The branch existed before cid and is never touched.
    existed: bool,
    commit: String,
}

impl Step for PushBranch {
    const KIND: &'static str = "push-branch.v1";
    type Before = Before;
    type Output = ();

    fn label(&self) -> String {
        format!("push the branch {}", self.branch)
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.git
    }

    async fn observe(&self, cx: &Cx) -> Result<Before, Fault> {
        Ok(Before {
            existed: cx.output::<Fetch>()?.branch.is_some(),
            commit: cx.output::<Inspect>()?.commit,
        })
    }

    async fn apply(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if before.existed {
            return Ok(());
        }
        let push = Push {
            mirror: self.mirror.clone(),
            remote: self.remote.clone(),
            branch: self.branch.clone(),
            commit: before.commit.clone(),
            expected: None,
            dry_run: false,
        };
        cx.ask(cx.git(), push).await
    }

    async fn undo(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if before.existed {
            return Ok(());
        }
        let request = DeleteBranch {
            mirror: self.mirror.clone(),
            remote: self.remote.clone(),
            branch: self.branch.clone(),
            expected: before.commit.clone(),
        };
        match cx.ask(cx.git(), request).await {
            Ok(BranchDeletion::Deleted | BranchDeletion::Absent) => Ok(()),
            Ok(BranchDeletion::Moved) => {
                cx.note(format!(
                    "the branch {} has got other commits meanwhile and was left on the remote",
                    self.branch
                ));
                Ok(())
            }
            Err(fault) if fault.cancelled => Err(fault),
            Err(fault) => {
                let debt = Debt::DeleteBranch {
                    project: cx.project_name().clone(),
                    mirror: self.mirror.clone(),
                    remote: self.remote.clone(),
                    branch: self.branch.clone(),
                    expected: before.commit.clone(),
                };
                cx.owe(debt, fault.message).await
            }
        }
    }
}
