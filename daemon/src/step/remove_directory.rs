//! Moves the workspace's folder into the trash, and throws it away when the job is over.

use super::{make_directory::purge, remove_files::into_trash};
use crate::{
    config::Limits,
    engine::{Cx, Step},
    system::unwritable::unwritable,
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Moves the workspace's folder into the trash, and throws it away when the job is over.
#[derive(Serialize, Deserialize)]
pub struct RemoveDirectory {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// `WORK_DIR/.trash/JOB`: its place in the trash.
    pub trash: PathBuf,
}

/// What was there.
#[derive(Serialize, Deserialize)]
pub struct Before {
    existed: bool,
}

impl Step for RemoveDirectory {
    const KIND: &'static str = "remove-directory.v1";
    const HAS_FINISH: bool = true;
    type Before = Before;
    type Output = ();

    fn label(&self) -> String {
        "remove the directory".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.purge
    }

    async fn observe(&self, _: &Cx) -> Result<Before, Fault> {
        Ok(Before {
            existed: fs::exists(&self.directory),
        })
    }

    async fn apply(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if !before.existed {
            cx.note(format!(
                "the directory {} was gone already",
                self.directory.display()
            ));
            return Ok(());
        }
        let moved = into_trash(&self.directory, &self.trash);
        // The drop-in of a work_dir that the project's file no longer names may be gone, too.
        let work_dir = self.directory.parent().unwrap_or(&self.directory);
        moved.map(drop).map_err(|fault| match cx.sys().accounts() {
            Some(_) => unwritable(work_dir).unwrap_or(fault),
            None => fault,
        })
    }

    async fn undo(&self, _: &Before, _: &Cx) -> Result<(), Fault> {
        fs::rename_new(&self.trash, &self.directory).map(drop)
    }

    async fn finish(&self, _: &Before, cx: &Cx) -> Result<(), Fault> {
        purge(&self.trash, cx).await
    }
}
