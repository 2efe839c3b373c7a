//! Backs a stage's database up.

use super::{release::command_of, variables::values};
use crate::{
    config::Limits,
    domain::UnitName,
    engine::{Cx, Step},
    layout::BACKUPS,
    system::queue::Resource,
};
use cid_kernel::fs;
use cid_protocol::{
    fault::Fault,
    run_file::{ProcessCommand, RunFile},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Runs the stage's `backup` commands before its release commands. What they wrote stays, however the job ends.
#[derive(Serialize, Deserialize)]
pub struct BackUp {
    /// With the run file of this instance.
    pub instance: UnitName,
    /// `WORK_DIR/STAGE`.
    pub directory: PathBuf,
    /// The file to write.
    pub file: PathBuf,
}

/// The file of this name in a stage's folder.
pub fn backup_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(BACKUPS).join(name)
}

impl Step for BackUp {
    const KIND: &'static str = "back-up.v1";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    /// Whether the file was there.
    type Before = bool;
    type Output = ();

    fn label(&self) -> String {
        "back the database up".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.release
    }

    async fn observe(&self, _: &Cx) -> Result<bool, Fault> {
        Ok(fs::exists(&self.file))
    }

    async fn apply(&self, existed: &bool, cx: &Cx) -> Result<(), Fault> {
        if *existed {
            return Err(Fault::new(format!(
                "cannot back up to {}: it exists",
                self.file.display()
            ))
            .hint("look what it is and move it away"));
        }
        let project = cx.project()?;
        // Read now: plans are journalled, and a command may name a secret.
        let commands = cx.stage(&project).map(|stage| stage.backup.clone());
        let run_file = RunFile::read(&cx.sys().layout.run_file(&self.instance))?;
        let values = values(Some(&self.instance), cx).await?;
        let file = self.file.to_string_lossy();
        let _core = cx.turn(Resource::Core).await?;
        for command in commands.unwrap_or_default() {
            let words = command.words().iter();
            let filled = |word: &String| values.word(&word.replace("{backup}", &file));
            let command: Vec<String> = words.map(filled).collect();
            let command = ProcessCommand::Arguments(command);
            let hint =
                "see its last lines of output; mend `backup` of the stage in the project file";
            command_of(cx, &run_file, command, ("backup", hint)).await?;
        }
        Ok(())
    }

    async fn undo(&self, _: &bool, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
