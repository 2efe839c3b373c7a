//! Brings the workspace's clone up to date with its branch on the remote, where that loses nothing.

use super::Fetch;
use crate::{
    config::Limits,
    engine::{Cx, Step},
};
use cid_protocol::{
    fault::Fault,
    request::{self, LookAtTree, TakeBackTree, TreeState},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Fast-forwards a clean clone to its branch on the remote. A clone with work in it is left as it is, and the
/// deployment goes on with that.
#[derive(Serialize, Deserialize)]
pub struct UpdateTree {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// The workspace's branch.
    pub branch: String,
}

impl Step for UpdateTree {
    const KIND: &'static str = "update-tree.v1";
    const FILLS_DISK: bool = true;
    /// The commit that was checked out.
    type Before = String;
    type Output = TreeState;

    fn label(&self) -> String {
        "bring the tree up to date".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.clone
    }

    async fn observe(&self, cx: &Cx) -> Result<String, Fault> {
        let look = LookAtTree {
            tree: self.directory.join(request::TREE),
            commit: None,
            branch: self.branch.clone(),
            dir: Path::new(".").to_owned(),
        };
        let head = cx.ask(cx.user(), look).await?.head;
        head.ok_or_else(|| {
            Fault::new("cannot deploy the clone: nothing is committed on its branch")
                .hint("check a branch with commits out there")
        })
    }

    async fn apply(&self, before: &String, cx: &Cx) -> Result<TreeState, Fault> {
        let request = request::UpdateTree {
            directory: self.directory.clone(),
            branch: self.branch.clone(),
            commit: cx.output::<Fetch>()?.branch,
        };
        let is_gone = request.commit.is_none();
        let state = cx.ask(cx.user(), request).await?;
        if is_gone {
            cx.note(format!(
                "the branch {} is not on the remote: the tree is deployed as it is",
                self.branch
            ));
        } else if let Some(why) = &state.left_alone {
            cx.note(format!(
                "the tree was not brought up to date, for {why}: it is deployed as it is"
            ));
        }
        if state.commit == *before {
            cx.idle();
        }
        Ok(state)
    }

    async fn undo(&self, before: &String, cx: &Cx) -> Result<(), Fault> {
        // How far it came is not known where it failed.
        let at = match cx.output::<Self>() {
            Ok(state) => state.commit,
            Err(_) => match cx.output::<Fetch>()?.branch {
                Some(commit) => commit,
                None => return Ok(()),
            },
        };
        if at == *before {
            return Ok(());
        }
        let request = TakeBackTree {
            directory: self.directory.clone(),
            branch: self.branch.clone(),
            from: at,
            to: before.clone(),
        };
        if let Some(why) = cx.ask(cx.user(), request).await? {
            cx.note(format!("the tree stays at its new commit, for {why}"));
        }
        Ok(())
    }
}
