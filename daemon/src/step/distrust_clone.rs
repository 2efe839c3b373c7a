//! Takes the clone from those that people's own git may work in.

use super::TREE;
use crate::{
    engine::{Cx, Step},
    system::{Fault, trusted},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Takes the clone out of the file that tells git of this machine which repositories of others it may
/// work in: what comes to be in its place is not to be trusted.
#[derive(Serialize, Deserialize)]
pub struct DistrustClone {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
}

impl Step for DistrustClone {
    const KIND: &'static str = "distrust-clone.v1";
    /// Whether it was named.
    type Before = bool;
    type Output = ();

    fn label(&self) -> String {
        "no longer let people's git work in it".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<bool, Fault> {
        Ok(trusted::read(&cx.sys().layout.git_config())?.contains(&self.directory.join(TREE)))
    }

    async fn apply(&self, _: &bool, cx: &Cx) -> Result<(), Fault> {
        let clone = self.directory.join(TREE);
        trusted::set(&cx.sys().layout.git_config(), &clone, false)
    }

    async fn undo(&self, was_named: &bool, cx: &Cx) -> Result<(), Fault> {
        let clone = self.directory.join(TREE);
        trusted::set(&cx.sys().layout.git_config(), &clone, *was_named)
    }
}
