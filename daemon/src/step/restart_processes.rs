//! Restarts the workspace's processes.

use super::{look_at, not_in_effect};
use crate::engine::{Cx, Step};
use cid_protocol::{fault::Fault, run_file::RunFile};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path};

/// Restarts the workspace's processes.
#[derive(Serialize, Deserialize)]
pub struct RestartProcesses {}

/// How long each log was before, in bytes, by its file's name: what follows is of the new start.
#[derive(Default, Serialize, Deserialize)]
pub struct LogsBefore(pub BTreeMap<String, u64>);

impl LogsBefore {
    /// What cannot be read counts as empty.
    fn look(dir: &Path) -> Self {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let length = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name, entry.metadata().ok()?.len()))
        };
        Self(entries.filter_map(length).collect())
    }
}

impl Step for RestartProcesses {
    const KIND: &'static str = "restart-processes.v1";
    type Before = ();
    type Output = LogsBefore;

    fn label(&self) -> String {
        "restart the processes".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<LogsBefore, Fault> {
        note_stale(cx).await;
        let before = LogsBefore::look(&cx.sys().layout.app_log_dir(cx.unit()));
        cx.sys().supervisor.restart(cx.unit()).await?;
        Ok(before)
    }

    /// A restart leaves nothing behind that could be taken back.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// Says what people may expect of a restart and do not get.
async fn note_stale(cx: &Cx) {
    let workspace = cx.store().workspace(cx.workspace()).await;
    let (Ok(project), Ok(Some(workspace))) = (cx.project(), workspace) else {
        return;
    };
    let Ok(run_file) = RunFile::read(&cx.sys().layout.run_file(cx.unit())) else {
        return;
    };
    let look = cx.ask(cx.user(), look_at(&workspace, &project)).await;
    let changed = look.map(|look| look.changed).unwrap_or_default();
    let stale = not_in_effect(&project, &run_file, &changed);
    if !stale.is_empty() {
        cx.note(format!(
            "changed since the workspace was made, and not in effect until it is deleted and made again: {}",
            stale.join(", ")
        ));
    }
}
