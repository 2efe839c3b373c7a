//! Makes the folder of a stage.

use super::{
    end_processes::end_all,
    make_account::made,
    make_directory::{HOME, RUN, STATIC, TMP, purge},
};
use crate::{
    config::Limits,
    engine::{Cx, Step},
    layout::{BACKUPS, DATA},
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::EndProcesses};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// In a stage's folder: where its app writes.
pub(super) const APP_FOLDERS: [&str; 5] = [HOME, TMP, RUN, STATIC, DATA];

/// Makes the folder of a stage, with those inside that its app works in; one that is there stays.
#[derive(Serialize, Deserialize)]
pub struct MakeStageFolder {
    /// `WORK_DIR/STAGE`.
    pub directory: PathBuf,
}

/// What was there.
#[derive(Serialize, Deserialize)]
pub struct Before {
    existed: bool,
}

impl Step for MakeStageFolder {
    const KIND: &'static str = "make-stage-folder.v1";
    type Before = Before;
    type Output = ();

    fn label(&self) -> String {
        "make the stage's folder".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.purge
    }

    async fn observe(&self, _: &Cx) -> Result<Before, Fault> {
        Ok(Before {
            existed: fs::exists(&self.directory),
        })
    }

    /// The folder itself stays root's on a host, so that nobody can replace those inside.
    async fn apply(&self, _: &Before, cx: &Cx) -> Result<(), Fault> {
        fs::make_dir(&self.directory, 0o751)?;
        for name in APP_FOLDERS {
            let path = self.directory.join(name);
            // Given also where it is there: a kill may have come before.
            fs::make_dir(&path, 0o770)?;
            if let Some(made) = made(cx) {
                // Its own group has the same number.
                fs::give_to(&path, made.account.uid, made.account.uid)?;
            }
        }
        // Its commands write there; what is root's nobody else can rename or remove.
        let backups = self.directory.join(BACKUPS);
        fs::make_dir(&backups, 0o770)?;
        if let Some(made) = made(cx) {
            fs::give_to(&backups, geteuid().as_raw(), made.account.uid)?;
            fs::set_mode(&backups, 0o1770)?;
        }
        Ok(())
    }

    async fn undo(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if before.existed {
            return Ok(());
        }
        // A process that still runs could go on writing there.
        if let Some(made) = made(cx) {
            end_all(&made.account, EndProcesses::default(), cx).await?;
        }
        purge(&self.directory, cx).await
    }
}
