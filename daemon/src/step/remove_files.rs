//! Moves run file and logs into the trash.

use super::make_directory::purge;
use crate::{
    config::Limits,
    engine::{Cx, Step},
    system::{Fault, fs},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Moves run file and logs into the trash.
#[derive(Serialize, Deserialize)]
pub struct RemoveFiles {
    /// What is to go; all in the state's and the logs' file system.
    pub paths: Vec<PathBuf>,
    /// `state/trash/JOB`.
    pub trash: PathBuf,
}

impl Step for RemoveFiles {
    const KIND: &'static str = "remove-files.v1";
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "remove run file and logs".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.purge
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        fs::make_dir(&self.trash, 0o700)?;
        for (index, path) in self.paths.iter().enumerate() {
            fs::rename_new(path, &self.trash.join(index.to_string()))?;
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        for (index, path) in self.paths.iter().enumerate() {
            fs::rename_new(&self.trash.join(index.to_string()), path)?;
        }
        Ok(())
    }

    async fn finish(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        purge(&self.trash, cx).await
    }
}
