//! Lets people's own git work in the clone.

use super::TREE;
use crate::{
    engine::{Cx, Step},
    system::{Fault, trusted},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Names the clone in the file that tells git of this machine which repositories of others it may
/// work in.
#[derive(Serialize, Deserialize)]
pub struct TrustClone {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
}

impl Step for TrustClone {
    const KIND: &'static str = "trust-clone.v1";
    /// Whether it was named.
    type Before = bool;
    type Output = ();

    fn label(&self) -> String {
        "let people's git work in it".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<bool, Fault> {
        Ok(trusted::read(&cx.sys().layout.git_config())?.contains(&self.directory.join(TREE)))
    }

    async fn apply(&self, _: &bool, cx: &Cx) -> Result<(), Fault> {
        trusted::set(
            &cx.sys().layout.git_config(),
            &self.directory.join(TREE),
            true,
        )
    }

    async fn undo(&self, was_named: &bool, cx: &Cx) -> Result<(), Fault> {
        let clone = self.directory.join(TREE);
        trusted::set(&cx.sys().layout.git_config(), &clone, *was_named)
    }
}
