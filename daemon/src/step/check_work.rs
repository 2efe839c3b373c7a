//! Before a workspace's folder goes: was work made since a caller was told that there is none?

use crate::{
    engine::{Cx, Step},
    error,
    system::Fault,
};
use cid_protocol::request::WorkStatus;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Refuses to go on where there is work by now that is nowhere else. Nothing of the workspace runs any
/// more, so what it finds is what goes.
#[derive(Serialize, Deserialize)]
pub struct CheckWork {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// The bare mirror, which the caller's look brought up to date.
    pub mirror: PathBuf,
    /// The project's remote.
    pub url: Option<String>,
    /// Which commits the caller's look found on remotes: these are not asked for again.
    pub judged: String,
}

impl Step for CheckWork {
    const KIND: &'static str = "check-work.v1";
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
        let request = WorkStatus {
            directory: self.directory.clone(),
            mirror: self.mirror.clone(),
            url: self.url.clone(),
            unasked: None,
            judged: Some(self.judged.clone()),
        };
        let report = cx.ask(cx.user(), request).await?;
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

/// New commits are asked for at their remotes.
const LIMIT: Duration = Duration::from_secs(90);
