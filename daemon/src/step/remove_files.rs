//! Moves run file and logs into the trash.

use super::make_directory::purge;
use crate::{
    config::Limits,
    engine::{Cx, Step},
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

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
    /// Its place in a trash on the same mount: a unit's writable folders are separate mounts, and a rename
    /// cannot cross mounts.
    pub trash: PathBuf,
}

/// Moves something to its place in a trash, by a rename alone: a full disk has no room for a new folder. A
/// missing path has been moved already or never existed.
pub(super) fn into_trash(path: &Path, place: &Path) -> Result<(), Fault> {
    let trash = place.parent().unwrap_or(place);
    fs::make_dir(trash, 0o700)?;
    fs::rename_new(path, place).map(drop)
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
            into_trash(&doomed.path, &doomed.trash)?;
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        for doomed in &self.paths {
            fs::rename_new(&doomed.trash, &doomed.path)?;
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
