//! Clones the repository from the mirror, on the workspace's branch.

use super::{
    Fetch, Inspect,
    make_directory::{HOME, TREE},
};
use crate::{
    config::Limits,
    engine::{Cx, Step},
};
use cid_protocol::{
    fault::Fault,
    request::{CloneTree, Person},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Clones the repository from the mirror, on the workspace's branch.
#[derive(Serialize, Deserialize)]
pub struct Clone {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// `WORK_DIR/NAME`; taken back with it.
    pub directory: PathBuf,
    /// What `origin` is set to.
    pub url: String,
    /// Base branch.
    pub base: String,
    /// The workspace's branch.
    pub branch: String,
    /// Whose workspace it is.
    pub email: String,
}

impl Step for Clone {
    const KIND: &'static str = "clone.v1";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "clone the repository".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.clone
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let commit = cx.output::<Inspect>()?.commit;
        let request = CloneTree {
            mirror: self.mirror.clone(),
            target: self.directory.join(TREE),
            url: self.url.clone(),
            base: self.base.clone(),
            base_commit: cx.output::<Fetch>()?.base,
            branch: self.branch.clone(),
            commit: commit.clone(),
            person: Person {
                home: self.directory.join(HOME),
                email: self.email.clone(),
            },
        };
        // The ledger writes while the helper works. A job that fails removes the workspace with it.
        let (recorded, cloned) = tokio::join!(
            cx.store().set_commit(cx.workspace(), Some(commit)),
            cx.ask(cx.user(), request)
        );
        cloned?;
        Ok(recorded?)
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
