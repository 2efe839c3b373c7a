//! Makes the folder of a build.

use super::make_directory::{HOME, TMP, TREE, VENV, purge};
use crate::{
    config::Limits,
    domain::{builder, project_group, tester},
    engine::{Cx, Step},
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Makes the folder of a build, with those inside that its builder works in.
#[derive(Serialize, Deserialize)]
pub struct MakeBuildFolder {
    /// `builds/PROJECT/NUMBER`.
    pub directory: PathBuf,
}

/// What was there.
#[derive(Serialize, Deserialize)]
pub struct Before {
    existed: bool,
}

impl Step for MakeBuildFolder {
    const KIND: &'static str = "make-build-folder.v1";
    type Before = Before;
    type Output = ();

    fn label(&self) -> String {
        "make the build's folder".into()
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
    async fn apply(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        if before.existed {
            return Err(Fault::new(format!(
                "cannot make {}: it exists, and cid did not make it",
                self.directory.display()
            ))
            .hint("look what it is and move it away"));
        }
        fs::make_dir(&self.directory, 0o755)?;
        for (name, mode) in [(TREE, 0o755), (VENV, 0o755), (HOME, 0o700), (TMP, 0o700)] {
            make_for_builder(&self.directory.join(name), mode, cx)?;
        }
        Ok(())
    }

    async fn undo(&self, before: &Before, cx: &Cx) -> Result<(), Fault> {
        match before.existed {
            true => Ok(()),
            false => purge(&self.directory, cx).await,
        }
    }
}

/// A folder in which the project's builder works; on a host it is the builder's.
pub(super) fn make_for_builder(path: &Path, mode: u32, cx: &Cx) -> Result<(), Fault> {
    make_for(&builder(cx.project_name()), path, mode, cx)
}

/// A folder in which the project's tests work; on a host it is the tester's.
pub(super) fn make_for_tester(path: &Path, cx: &Cx) -> Result<(), Fault> {
    make_for(&tester(cx.project_name()), path, 0o755, cx)
}

fn make_for(account: &str, path: &Path, mode: u32, cx: &Cx) -> Result<(), Fault> {
    fs::make_dir(path, mode)?;
    let Some(accounts) = cx.sys().accounts() else {
        return Ok(());
    };
    let group = project_group(cx.project_name());
    let (uid, gid) = accounts.numbers(account, &group)?;
    fs::give_to(path, uid, gid)
}
