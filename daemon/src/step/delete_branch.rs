//! Deletes the workspace's branch on the remote.

use super::CheckBranch;
use crate::{
    config::Limits,
    engine::{Cx, Step},
};
use cid_protocol::{
    fault::Fault,
    request::{self, BranchDeletion, Push, Remote},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Deletes the workspace's branch on the remote.
#[derive(Serialize, Deserialize)]
pub struct DeleteBranch {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// The repository.
    pub remote: Remote,
    /// Base branch.
    pub base: String,
    /// The workspace's branch.
    pub branch: String,
}

impl Step for DeleteBranch {
    const KIND: &'static str = "delete-branch.v1";
    /// The commit it had when it was looked at; `None`: there is no such branch.
    type Before = Option<String>;
    type Output = ();

    fn label(&self) -> String {
        format!("delete the branch {}", self.branch)
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.git
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        Ok(cx.output::<CheckBranch>()?.branch)
    }

    async fn apply(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        let Some(expected) = before.clone() else {
            cx.note(format!("the remote had no branch {}", self.branch));
            return Ok(());
        };
        let request = request::DeleteBranch {
            mirror: self.mirror.clone(),
            remote: self.remote.clone(),
            branch: self.branch.clone(),
            expected,
        };
        match cx.ask(cx.git(), request).await? {
            BranchDeletion::Deleted | BranchDeletion::Absent => Ok(()),
            BranchDeletion::Moved => Err(Fault::new(format!(
                "cannot delete the branch {}: somebody has just pushed to it",
                self.branch
            ))
            .hint("look at what was pushed, then try again")),
        }
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        let Some(commit) = before.clone() else {
            return Ok(());
        };
        let fetch = request::Fetch {
            mirror: self.mirror.clone(),
            remote: self.remote.clone(),
            base: self.base.clone(),
            branch: self.branch.clone(),
            tags: false,
            is_fresh: false,
            max_bytes: cx.max_repository(),
        };
        if cx.fetch(fetch).await?.branch.is_some() {
            return Ok(());
        }
        let request = Push {
            mirror: self.mirror.clone(),
            remote: self.remote.clone(),
            branch: self.branch.clone(),
            commit,
            expected: None,
            dry_run: false,
        };
        cx.ask(cx.git(), request).await
    }
}
