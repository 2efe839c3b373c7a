//! Before a workspace's folder goes: has work been made since the caller was told that nothing would be lost?

use crate::{
    engine::{Cx, Step},
    error,
};
use cid_protocol::{
    fault::Fault,
    request::{self, Remote, WorkStatus},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Refuses to continue if there now is work that exists nowhere else. The workspace's processes have ended,
/// so nothing can change after the check.
#[derive(Serialize, Deserialize)]
pub struct CheckWork {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// The bare mirror. The caller's check brought it up to date.
    pub mirror: PathBuf,
    /// The project's remote; `None`: the project's file cannot be read.
    pub origin: Option<Origin>,
    /// The commits that the caller's check found on remotes: not looked up again.
    pub judged: String,
}

/// Where the project's commits are.
#[derive(Serialize, Deserialize)]
pub struct Origin {
    /// The repository.
    pub remote: Remote,
    /// Base branch.
    pub base: String,
    /// The workspace's branch.
    pub branch: String,
}

impl Step for CheckWork {
    const KIND: &'static str = "check-work.v2";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "look for work that would be lost".into()
    }

    fn limit(&self, limits: &crate::config::Limits) -> Duration {
        (*limits.step).max(LIMIT)
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let look = |unasked, judged| {
            let origin = self.origin.as_ref();
            let request = WorkStatus {
                directory: self.directory.clone(),
                mirror: self.mirror.clone(),
                url: origin.map(|origin| origin.remote.url.clone()),
                unasked,
                judged,
            };
            cx.ask(cx.user(), request)
        };
        let mut report = look(None, Some(self.judged.clone())).await?;
        let is_new = report.fingerprint != self.judged;
        if let Some(origin) = self
            .origin
            .as_ref()
            .filter(|_| report.loses_work() && is_new)
        {
            // Commits made since may have been pushed as well.
            let unasked = cx.fetch(self.fetch(origin, cx)).await.err();
            let unasked =
                unasked.map(|fault| format!("the project's remote cannot be asked: {fault}"));
            report = look(unasked, None).await?;
        }
        if report.loses_work() {
            return Err(Fault::new(format!(
                "cannot delete the workspace: somebody worked in it while it was being deleted: {}",
                error::summary(&report)
            ))
            .hint("delete it again to see what it is; --discard loses it"));
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

impl CheckWork {
    fn fetch(&self, origin: &Origin, cx: &Cx) -> request::Fetch {
        request::Fetch {
            mirror: self.mirror.clone(),
            remote: origin.remote.clone(),
            base: origin.base.clone(),
            branch: origin.branch.clone(),
            tags: true,
            is_fresh: false,
            max_bytes: cx.max_repository(),
        }
    }
}

/// New commits are asked for at their remotes, and then the project's own is.
const LIMIT: Duration = Duration::from_secs(240);
