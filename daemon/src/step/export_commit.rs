//! Writes a commit's files into its build's folder.

use super::make_directory::TREE;
use crate::{
    config::Limits,
    engine::{Cx, Step},
};
use cid_protocol::{fault::Fault, request};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Writes a commit's files into its build's folder; they go with it.
#[derive(Serialize, Deserialize)]
pub struct ExportCommit {
    /// The bare mirror.
    pub mirror: PathBuf,
    /// Which commit.
    pub commit: String,
    /// The build's folder.
    pub directory: PathBuf,
}

impl Step for ExportCommit {
    const KIND: &'static str = "export-commit.v1";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        format!("write the files of {:.10}", self.commit)
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.clone
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let request = request::ExportCommit {
            mirror: self.mirror.clone(),
            commit: self.commit.clone(),
            target: self.directory.join(TREE),
        };
        for submodule in cx.ask(cx.user(), request).await?.submodules {
            cx.note(format!(
                "the submodule {} is empty: submodules are not fetched",
                submodule.display()
            ));
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
