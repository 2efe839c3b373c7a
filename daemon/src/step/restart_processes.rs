//! Restarts the workspace's processes.

use crate::{
    engine::{Cx, Step},
    system::Fault,
};
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
        let before = LogsBefore::look(&cx.sys().layout.app_log_dir(cx.unit()));
        cx.sys().supervisor.restart(cx.unit()).await?;
        Ok(before)
    }

    /// A restart leaves nothing behind that could be taken back.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
