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
    /// What is to go.
    pub paths: Vec<Doomed>,
}

/// A file or folder that is to go.
#[derive(Serialize, Deserialize)]
pub struct Doomed {
    /// Where it is.
    pub path: PathBuf,
    /// A trash on the same mount: a unit's writable folders are mounts of their own, and nothing is
    /// renamed across those.
    pub trash: PathBuf,
}

impl Doomed {
    fn trashed(&self) -> PathBuf {
        self.trash.join(self.path.file_name().unwrap_or_default())
    }
}

impl Step for RemoveFiles {
    const KIND: &'static str = "remove-files.v2";
    const HAS_FINISH: bool = true;
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
        for doomed in &self.paths {
            fs::make_dir(&doomed.trash, 0o700)?;
            fs::rename_new(&doomed.path, &doomed.trashed())?;
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        for doomed in &self.paths {
            fs::rename_new(&doomed.trashed(), &doomed.path)?;
        }
        Ok(())
    }

    async fn finish(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        for doomed in &self.paths {
            purge(&doomed.trash, cx).await?;
        }
        Ok(())
    }
}
