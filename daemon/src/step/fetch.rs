//! Brings the project's branches into its mirror.

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

/// Brings the project's branches into its mirror.
#[derive(Serialize, Deserialize)]
pub struct Fetch {
    /// The bare mirror; made when missing. It stays when the job is taken back: it is a cache.
    pub mirror: PathBuf,
    /// The repository.
    pub remote: Remote,
    /// Base branch.
    pub base: String,
    /// The workspace's branch.
    pub branch: String,
    /// The workspace is there already.
    #[serde(default)]
    pub is_deployment: bool,
}

impl Step for Fetch {
    const KIND: &'static str = "fetch.v1";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = Fetched;

    fn label(&self) -> String {
        format!("fetch {}", self.base)
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
        // In a sandbox the workspace's helper starts while the git server is being asked; on a host it
        // needs an account first.
        let ahead = async {
            let has_account = cx.sys().is_host();
            if !has_account {
                cx.sys().helpers.prepare(cx.job(), cx.user()).await;
            }
        };
        let (fetched, ()) = tokio::join!(cx.fetch(request), ahead);
        let fetched = fetched?;
        if fetched.branch.is_some() {
            let (project, branch) = (cx.project_name().clone(), self.branch.clone());
            cx.store().branch_is_back(project, branch).await?;
        }
        if fetched.branch.is_some() && !self.is_deployment {
            cx.note(format!(
                "the branch {} exists on the remote already and is used as it is",
                self.branch
            ));
        }
        if self.is_deployment {
            let own = cx.store().workspace(cx.workspace()).await?;
            if own.is_some_and(|own| own.commit == fetched.branch) {
                cx.idle();
            }
        }
        Ok(fetched)
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
