//! Makes the workspace's folder.

use super::{
    end_processes::end_all,
    make_account::{Made, made},
};
pub use crate::layout::{RUN, own_socket, web_socket};
use crate::{
    config::Limits,
    engine::{Cx, Step},
    error,
    layout::KEPT_MODE,
    system::helpers::Identity,
};
use cid_kernel::fs;
pub use cid_protocol::request::{HOME, OTHER_VENV, STATIC, TREE, VENV};
use cid_protocol::{
    fault::Fault,
    request::{EndProcesses, Purge, UnfinishedWork, WorkReport},
};
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
    /// The bare mirror.
    pub mirror: PathBuf,
    /// `WORK_DIR/.kept/NAME-DATE`: where undo moves it if somebody has worked in it.
    pub kept: PathBuf,
}

/// What was there.
#[derive(Serialize, Deserialize)]
pub struct Before {
    existed: bool,
}

/// TMPDIR of the workspace's commands and processes.
pub const TMP: &str = "tmp";

impl Step for MakeDirectory {
    const KIND: &'static str = "make-directory.v3";
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
        for name in [HOME, TMP, RUN, STATIC] {
            fs::make_dir(&self.directory.join(name), 0o770)?;
        }
        match made(cx) {
            Some(made) => self.give_to(&made),
            None => Ok(()),
        }
    }

    /// Removes it at once, without a trash: it may be what fills the disk. What people made in it is moved
    /// aside.
    async fn undo(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if before.existed {
            return Ok(());
        }
        // A process that still runs could go on writing there.
        if let Some(made) = made(cx) {
            end_all(&made.account, EndProcesses::default(), cx).await?;
        }
        match self.made_meanwhile(cx).await? {
            Some(what) => self.keep(&what, cx).await,
            None => purge(&self.directory, cx).await,
        }
    }
}

impl MakeDirectory {
    /// What people made there, in words.
    async fn made_meanwhile(&self, cx: &Cx) -> Result<Option<String>, Fault> {
        // An earlier attempt may have moved it.
        let place = [&self.kept, &self.directory];
        let Some(directory) = place.into_iter().find(|place| fs::exists(place)) else {
            return Ok(None);
        };
        let request = UnfinishedWork {
            directory: directory.clone(),
            mirror: self.mirror.clone(),
            own_account: made(cx).is_some(),
        };
        match cx.ask(cx.user(), request).await {
            Err(fault) if fault.cancelled => Err(fault),
            // Its content is unknown.
            Err(fault) => Ok(Some(format!("what is there, for {fault}"))),
            Ok(report) => Ok(report.loses_work().then(|| told(&report))),
        }
    }

    /// Moves the folder aside without the parts that cid can make again. Uses only a rename, because the
    /// disk may be full.
    async fn keep(&self, what: &str, cx: &Cx) -> Result<(), Fault> {
        if let Some(folder) = self.kept.parent() {
            fs::make_dir(folder, KEPT_MODE)?;
        }
        fs::rename_new(&self.directory, &self.kept)?;
        for name in [VENV, OTHER_VENV, TMP, RUN, STATIC] {
            purge(&self.kept.join(name), cx).await?;
        }
        let kept = self.kept.display();
        cx.kept(format!(
            "kept: {what}; it is in {kept} now, and cid does not remove it (when nobody needs it: rm -r {kept})"
        ));
        Ok(())
    }

    /// The folder itself stays root's, so nobody can replace those inside. They are made here because the
    /// account cannot make them.
    fn give_to(&self, made: &Made) -> Result<(), Fault> {
        let uid = made.account.uid;
        for name in [TREE, VENV, HOME, TMP, RUN, STATIC] {
            let path = self.directory.join(name);
            fs::make_dir(&path, 0o770)?;
            // Its own group has the same number.
            fs::give_to(&path, uid, uid)?;
        }
        Ok(())
    }
}

/// Removes a folder and its content; a missing one is no error.
pub(super) async fn purge(folder: &Path, cx: &Cx) -> Result<(), Fault> {
    // What the daemon may not look at may be there.
    let Some(parent) = folder.parent().filter(|_| !fs::is_gone(folder)) else {
        return Ok(());
    };
    let request = Purge {
        path: folder.to_owned(),
    };
    let identity = Identity::Purge(parent.to_owned());
    cx.ask(identity, request).await.map(drop)
}

/// How many files or commits are named.
const NAMED: usize = 3;

/// How much there is, and the first of it.
fn told(report: &WorkReport) -> String {
    let all = report.repositories.iter();
    let items = all.flat_map(|work| work.unpushed.items.iter().chain(&work.uncommitted.items));
    let first: Vec<&str> = items.take(NAMED).map(String::as_str).collect();
    match first.is_empty() {
        true => error::summary(report),
        false => format!("{} ({}, ...)", error::summary(report), first.join(", ")),
    }
}
