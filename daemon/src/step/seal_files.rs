//! Seals a build's files.

use super::{
    InstallDependencies,
    check_health::sync_all_of,
    make_directory::{TREE, VENV},
};
use crate::{
    config::Limits,
    domain::Packages,
    engine::{Cx, Step},
    layout::Layout,
    system::helpers::Identity,
};
use cid_protocol::{
    fault::Fault,
    request::{SealBuild, SealedBuild, TakeOver},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Seals a build's files and its own packages: nothing writes them any more. On a host they become root's.
#[derive(Serialize, Deserialize)]
pub struct SealFiles {
    /// The build's folder.
    pub directory: PathBuf,
}

impl Step for SealFiles {
    const KIND: &'static str = "seal-files.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = String;

    fn label(&self) -> String {
        "seal the files".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.install
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<String, Fault> {
        let packages = cx.output::<InstallDependencies>()?;
        let request = request(&self.directory, false, &packages, cx);
        let sealed = cx.ask(cx.user(), request).await?;
        self.give_to_root(cx).await?;
        // What runs from these files is not asked to sync them: it is on another file system, perhaps.
        sync_all_of(self.directory.clone()).await?;
        let SealedBuild {
            digest,
            files,
            bytes,
        } = sealed;
        cx.line(format!("{files} files, {bytes} bytes, {digest}"))
            .await;
        let build = cx.build().await?;
        let store = cx.store();
        store.set_sealed(build.id, digest.clone(), packages).await?;
        Ok(digest)
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

impl SealFiles {
    /// On a host no account of the project can change them after this. What it did between the digest and this shows
    /// when the digest is taken again.
    async fn give_to_root(&self, cx: &Cx) -> Result<(), Fault> {
        if !cx.sys().is_host() {
            return Ok(());
        }
        let request = TakeOver {
            roots: roots(&self.directory),
        };
        cx.ask(Identity::Sealer(self.directory.clone()), request)
            .await
    }
}

/// What is sealed in a build's folder.
fn roots(directory: &Path) -> Vec<PathBuf> {
    [TREE, VENV].map(|name| directory.join(name)).into()
}

/// Seals, or says what is there.
pub(super) fn request(
    directory: &Path,
    reads_only: bool,
    packages: &Packages,
    cx: &Cx,
) -> SealBuild {
    let layout = &cx.sys().layout;
    SealBuild {
        reads_only,
        ..look_at_build(directory, packages, layout)
    }
}

/// Says what is there. Packages that the operator has made ready are the operator's to change.
pub(crate) fn look_at_build(directory: &Path, packages: &Packages, layout: &Layout) -> SealBuild {
    let Packages {
        path,
        shared,
        packages,
        ..
    } = packages;
    let state = &layout.state_dir;
    let all = [shared, path, packages].into_iter().flatten();
    let shared = all.filter(|path| path.starts_with(state) && !path.starts_with(directory));
    SealBuild {
        roots: roots(directory),
        packages: shared.cloned().collect(),
        reads_only: true,
    }
}
