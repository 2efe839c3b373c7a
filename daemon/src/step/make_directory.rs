//! Makes the workspace's folder.

use super::{
    end_processes::end_all,
    make_account::{Made, made},
};
use crate::{
    config::Limits,
    engine::{Cx, Step},
    system::{Fault, fs, helpers::Identity},
};
use cid_protocol::request::Purge;
pub use cid_protocol::request::{HOME, TREE};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Makes `WORK_DIR/NAME` with the folders inside that are not the clone.
#[derive(Serialize, Deserialize)]
pub struct MakeDirectory {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
}

/// What was there.
#[derive(Serialize, Deserialize)]
pub struct Before {
    existed: bool,
}

/// An environment of the workspace's own.
pub const VENV: &str = "venv";
/// TMPDIR of the workspace's commands and processes.
pub const TMP: &str = "tmp";
/// Where the web process's Unix socket is.
pub const RUN: &str = "run";

/// The web process's Unix socket.
pub fn web_socket(directory: &Path) -> PathBuf {
    directory.join(RUN).join("web.sock")
}

impl Step for MakeDirectory {
    const KIND: &'static str = "make-directory.v2";
    type Before = Before;
    type Output = ();

    fn label(&self) -> String {
        "make the directory".into()
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
        if before.existed {
            return Err(Fault::new(format!(
                "cannot make {}: it exists, and cid did not make it",
                self.directory.display()
            ))
            .hint("look what it is and move it away (cictl doctor shows more of that kind)"));
        }
        fs::make_dir(&self.directory, 0o751)?;
        for name in [HOME, TMP, RUN] {
            fs::make_dir(&self.directory.join(name), 0o770)?;
        }
        match made(cx) {
            Some(made) => self.give_to(&made),
            None => Ok(()),
        }
    }

    /// Removes it at once, and not by way of a trash: it may be what fills the disk.
    async fn undo(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if before.existed {
            return Ok(());
        }
        // What still runs could go on writing there.
        if let Some(made) = made(cx) {
            end_all(&made.account, cx).await?;
        }
        purge(&self.directory, cx).await
    }
}

impl MakeDirectory {
    /// The folder itself stays root's, so that nobody can put something else in place of those inside;
    /// these are made here, where the account could not.
    fn give_to(&self, made: &Made) -> Result<(), Fault> {
        let uid = made.account.uid;
        for name in [TREE, VENV, HOME, TMP, RUN] {
            let path = self.directory.join(name);
            fs::make_dir(&path, 0o770)?;
            // Its own group has the same number.
            fs::give_to(&path, uid, uid)?;
        }
        Ok(())
    }
}

/// Removes a folder and all that is in it; none is no error.
pub(super) async fn purge(folder: &Path, cx: &Cx) -> Result<(), Fault> {
    let Some(parent) = folder.parent().filter(|_| fs::exists(folder)) else {
        return Ok(());
    };
    let request = Purge {
        path: folder.to_owned(),
    };
    let identity = Identity::Purge(parent.to_owned());
    cx.ask(identity, request).await.map(drop)
}
