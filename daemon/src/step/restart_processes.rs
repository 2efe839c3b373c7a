//! Restarts the workspace's processes.

use super::{APP_LOG_DIR_MODE, last_lines::LogsBefore, look_at, not_in_effect};
use crate::{
    config::Values,
    domain::UnitName,
    engine::{Cx, Step},
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, run_file::RunFile};
use serde::{Deserialize, Serialize};

/// Restarts the workspace's processes.
#[derive(Serialize, Deserialize)]
pub struct RestartProcesses {
    /// Which of its instances answers.
    pub instance: UnitName,
}

impl Step for RestartProcesses {
    const KIND: &'static str = "restart-processes.v2";
    type Before = ();
    type Output = LogsBefore;

    fn label(&self) -> String {
        "restart the processes".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<LogsBefore, Fault> {
        if !cx.is_of_stage() {
            note_stale(&self.instance, cx).await;
        }
        let layout = &cx.sys().layout;
        let logs = layout.app_log_dir(cx.unit());
        // What cannot be started again is not stopped.
        RunFile::read(&layout.run_file(&self.instance)).map_err(|fault| {
            fault.hint("cictl deploy writes it again; of a stage cictl promote does")
        })?;
        fs::make_dir(&logs, APP_LOG_DIR_MODE)?;
        let before = LogsBefore::look(&logs);
        cx.sys().supervisor.restart(&self.instance).await?;
        Ok(before)
    }

    /// A restart leaves nothing to undo.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// Reports what a restart does not apply although people may expect it.
async fn note_stale(instance: &UnitName, cx: &Cx) {
    let workspace = cx.store().workspace(cx.workspace()).await;
    let (Ok(project), Ok(Some(workspace))) = (cx.project(), workspace) else {
        return;
    };
    let Ok(run_file) = RunFile::read(&cx.sys().layout.run_file(instance)) else {
        return;
    };
    let look = cx
        .ask(cx.user(), look_at(&workspace, &project, Some(&run_file)))
        .await;
    let changed = look.map(|look| look.changed).unwrap_or_default();
    let Ok(number) = cx.store().number_of(workspace.id).await else {
        return;
    };
    let values = Values::of(&project, &workspace, number);
    let stale = not_in_effect(&project, &values, &run_file, &changed);
    if !stale.is_empty() {
        cx.note(format!(
            "changed since the processes were set up, and not in effect before: cictl deploy {} -p {} ({})",
            workspace.owner,
            workspace.project,
            stale.join(", ")
        ));
    }
}
