//! Backs a stage's database up.

use super::{make_directory::purge, release::command_of, variables::values};
use crate::{
    config::Limits,
    domain::{JobState, UnitName},
    engine::{Cx, Plan, Step},
    layout::BACKUPS,
    store::{JobFilter, JobRow},
    system::{helpers::Identity, queue::Resource},
};
use cid_protocol::{
    fault::Fault,
    request::{KeepFile, KeepOnly, TakeOver},
    run_file::{ProcessCommand, RunFile},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

/// Enough for the builds to go back to, some of them deployed again and again.
const LOOKED_AT: usize = 1000;
/// So many jobs of the stage are looked through for those that failed.
const PAST_JOBS: usize = 100;

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
    const KIND: &'static str = "back-up.v2";
    const FILLS_DISK: bool = true;
    /// Release commands must not change the database before it is known that the copy is whole.
    const HAS_UNDO: bool = true;
    const HAS_FINISH: bool = true;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "back the database up".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.release
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// A copy that is there was made by this job before the daemon was killed: its name is that of the job. What the
    /// commands would write now may be the state after the release commands.
    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if self.keep(None, cx).await? {
            return self.give_to_root(cx).await;
        }
        let part = self.part();
        purge(&part, cx).await?;
        let project = cx.project()?;
        // Read now: plans are journalled, and a command may name a secret.
        let commands = cx.stage(&project).map(|stage| stage.backup.clone());
        let run_file = RunFile::read(&cx.sys().layout.run_file(&self.instance))?;
        let values = values(Some(&self.instance), cx).await?;
        let file = part.to_string_lossy();
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
        match self.keep(Some(part.clone()), cx).await? {
            true => self.give_to_root(cx).await,
            false => Err(Fault::new(format!(
                "cannot back the database up: the commands wrote no {}",
                part.display()
            ))
            .hint("have one of `backup` of the stage write the file that {backup} stands for")),
        }
    }

    /// What they wrote stays.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// Half copies go, and older ones of attempts that failed.
    async fn finish(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        tidy_backups(&self.directory, cx.is_taken_back(), cx).await
    }
}

impl BackUp {
    fn part(&self) -> PathBuf {
        self.file.with_added_extension("part")
    }

    /// On a host neither the app nor the next release command can change it, also where the kernel has no Landlock.
    async fn give_to_root(&self, cx: &Cx) -> Result<(), Fault> {
        if !cx.sys().is_host() {
            return Ok(());
        }
        let folder = self.directory.join(BACKUPS);
        let request = TakeOver {
            roots: vec![self.file.clone()],
        };
        cx.ask(Identity::Sealer(folder), request).await
    }

    async fn keep(&self, part: Option<PathBuf>, cx: &Cx) -> Result<bool, Fault> {
        let file = self.file.clone();
        cx.ask(cx.user(), KeepFile { part, file }).await
    }
}

/// Removes all copies of a stage's database but those of the builds to go back to, and of the attempts that failed
/// since the last deployment the oldest and the newest: the oldest alone is sure to be of the state before their
/// release commands. `has_failed`: this job is one of them.
pub(super) async fn tidy_backups(directory: &Path, has_failed: bool, cx: &Cx) -> Result<(), Fault> {
    let project = cx.project()?;
    let Some(keep) = cx.stage(&project).map(|stage| stage.keep.get()) else {
        return Ok(());
    };
    let mut builds = BTreeSet::new();
    let mut kept = Vec::new();
    let all = cx.store().deployments(cx.workspace(), LOOKED_AT).await?;
    // This job's own, where it was well: those that failed before it are kept until the next one.
    let last = all.iter().find(|old| old.job != cx.job());
    let failed = failed(last.map(|old| old.job), has_failed, cx).await?;
    for old in all {
        builds.insert(old.build);
        kept.extend(old.backup.filter(|_| builds.len() <= keep + 1));
    }
    let name = |path: PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    let folder = directory.join(BACKUPS);
    let ask = KeepOnly {
        folder: folder.clone(),
        names: kept.into_iter().filter_map(name).collect(),
        ends: failed.into_iter().filter_map(name).collect(),
    };
    cx.ask(Identity::Purge(folder), ask).await.map(drop)
}

/// The copies of attempts that were taken back after this job, oldest first, whether they are there or not.
async fn failed(after: Option<Uuid>, has_failed: bool, cx: &Cx) -> Result<Vec<PathBuf>, Fault> {
    let filter = JobFilter {
        project: Some(cx.project_name().clone()),
        owner: cx.owner().cloned(),
        before: None,
    };
    let jobs = cx.store().jobs(filter, PAST_JOBS).await?;
    let is_failed = |job: &JobRow| match job.id == cx.job() {
        true => has_failed,
        false => matches!(job.state, JobState::Undone | JobState::Cancelled),
    };
    let since = jobs.into_iter().take_while(|job| Some(job.id) != after);
    let mut files: Vec<PathBuf> = since.filter(is_failed).filter_map(copy_of).collect();
    files.reverse();
    Ok(files)
}

/// The copy that a job makes.
fn copy_of(job: JobRow) -> Option<PathBuf> {
    let plan: Plan = serde_json::from_value(job.plan).ok()?;
    let mut steps = plan.steps.into_iter();
    let step = steps.find(|step| step.kind == BackUp::KIND)?;
    let step: BackUp = serde_json::from_value(step.parameters).ok()?;
    Some(step.file)
}
