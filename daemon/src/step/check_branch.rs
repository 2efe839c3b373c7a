//! Before a branch is deleted on the remote: is there work on it that is nowhere else?

use crate::{
    config::Limits,
    engine::{Cx, Step},
};
use cid_protocol::{
    fault::Fault,
    request::{self, Fetched, Remote},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Refuses to go on when the remote branch has commits that base does not have.
#[derive(Serialize, Deserialize)]
pub struct CheckBranch {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// The repository.
    pub remote: Remote,
    /// Base branch.
    pub base: String,
    /// The workspace's branch.
    pub branch: String,
    /// Somebody said that those commits may go.
    pub force: bool,
}

impl Step for CheckBranch {
    const KIND: &'static str = "check-branch.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = Fetched;

    fn label(&self) -> String {
        format!("look at the branch {}", self.branch)
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.git
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<Fetched, Fault> {
        let request = request::Fetch {
            mirror: self.mirror.clone(),
            remote: self.remote.clone(),
            base: self.base.clone(),
            branch: self.branch.clone(),
            tags: false,
            is_fresh: false,
            max_bytes: cx.max_repository(),
        };
        let fetched = cx.fetch(request).await?;
        if fetched.ahead > 0 && !self.force {
            return Err(Fault::new(format!(
                "cannot delete the branch {}: {} of its commits are not in {}",
                self.branch, fetched.ahead, self.base
            ))
            .hint("merge it, leave --with-branch away, or lose them with --force"));
        }
        Ok(fetched)
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
