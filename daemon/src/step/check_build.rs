//! Checks that a build's files are what was sealed and tested.

use super::{seal_files, shared::check_sound};
use crate::{
    config::Limits,
    domain::Packages,
    engine::{Cx, Step},
    system::helpers::Identity,
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Checks that a build's files and packages are what was sealed and tested.
#[derive(Serialize, Deserialize)]
pub struct CheckBuild {
    /// The build's number.
    pub number: u32,
    /// The folder of its files.
    pub directory: PathBuf,
    /// What was sealed.
    pub digest: String,
    /// Where its packages are.
    pub packages: Packages,
}

impl Step for CheckBuild {
    const KIND: &'static str = "check-build.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        format!("check the files of build {}", self.number)
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.install
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let builder = Identity::Builder(cx.project_name().clone(), self.directory.clone());
        let request = seal_files::request(&self.directory, true, &self.packages, cx);
        if cx.ask(builder, request).await?.digest != self.digest {
            return Err(Fault::new(format!(
                "cannot deploy build {}: its files are not those that were tested",
                self.number
            ))
            .hint("build the commit again: cictl build --again"));
        }
        check_sound(&self.packages, cx).await
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
