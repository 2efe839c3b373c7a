//! Copies collected static files to where nginx serves them.

use super::{
    grant_access::nginx_accounts,
    inspect::is_unchanged,
    make_directory::{STATIC, purge},
};
use crate::{
    config::Limits,
    domain::UnitName,
    engine::{Cx, Step},
};
use cid_protocol::{fault::Fault, request};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Copies collected static files to where nginx serves them. They go with the workspace's folder.
#[derive(Serialize, Deserialize)]
pub struct CollectStatic {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// The files that they are collected in.
    pub tree: PathBuf,
    /// For a deployment: its next instance. Visitors get them at the switch.
    pub instance: Option<UnitName>,
}

impl Step for CollectStatic {
    const KIND: &'static str = "collect-static.v3";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    const HAS_FINISH: bool = true;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "copy the static files".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.clone
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// An app works without them, so a failure is told and is no end.
    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) {
            return Ok(());
        }
        let project = cx.project()?;
        let Some(files) = &project.nginx.collected else {
            return Ok(());
        };
        let url = files.url.as_str();
        let source = project.app.inside(Path::new("")).join(&*files.path);
        let ask = request::CollectStatic {
            tree: self.tree.clone(),
            source: source.clone(),
            place: self.directory.join(STATIC),
            uids: match cx.sys().is_host() {
                true => nginx_accounts(cx).await?,
                false => Vec::new(),
            },
            instance: self.instance.as_ref().map(UnitName::number),
        };
        match cx.ask(cx.user(), ask).await {
            Err(fault) if fault.cancelled => return Err(fault),
            Err(fault) => cx.note(format!("{url} is not served anew: {fault}")),
            Ok(found) if !found.is_there => cx.note(format!(
                "{url} leads to nothing: the release commands have made no {}",
                source.display()
            )),
            Ok(found) if found.left_out > 0 => cx.note(format!(
                "{} links and hidden files below {} are not served",
                found.left_out,
                source.display()
            )),
            Ok(_) => {}
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// Removes the files that wait: those of the earlier instance, or of one that was taken back.
    async fn finish(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        match &self.instance {
            None => Ok(()),
            Some(instance) => {
                let waiting = request::waiting_static(instance.number());
                purge(&self.directory.join(STATIC).join(waiting), cx).await
            }
        }
    }
}
