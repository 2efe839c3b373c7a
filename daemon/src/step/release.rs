//! Runs the release commands, e.g. database migrations.

use super::{
    Inspect, TakeTemplate,
    ended::judge,
    inspect::{is_unchanged, with_likely_causes},
    record_made::record,
    variables::{filled_in, values},
};
use crate::{
    config::{Command, Limits},
    domain::UnitName,
    engine::{Cx, Step},
    system::queue::Resource,
};
use cid_protocol::{
    fault::Fault,
    request::RunCommand,
    run_file::{ProcessCommand, RunFile},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Runs the release commands, e.g. database migrations. Changes to the workspace's own files go with its
/// folder; changes to a shared database cannot be undone.
#[derive(Serialize, Deserialize)]
pub struct Release {
    /// With the run file of this instance.
    pub instance: UnitName,
}

impl Step for Release {
    const KIND: &'static str = "release.v2";
    const FILLS_DISK: bool = true;
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "run the release commands".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.release
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// Records at the end what all commands made. People get access from here on, and the record tells
    /// their files apart if the creation is undone.
    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if is_unchanged(cx) {
            return Ok(());
        }
        let run = self.run(cx).await;
        run.map_err(|fault| with_likely_causes(fault, cx))?;
        match cx.is_of_stage() {
            // There is no tree that people work in.
            true => Ok(()),
            false => record(cx.directory(), cx).await,
        }
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

impl Release {
    async fn run(&self, cx: &Cx) -> Result<(), Fault> {
        let work = self.work(cx)?;
        if work.build.is_empty() && work.release.is_empty() {
            return Ok(());
        }
        let run_file = RunFile::read(&cx.sys().layout.run_file(&self.instance))?;
        let values = values(Some(&self.instance), cx).await?;
        let is_shared = cx.project()?.database.is_some();
        // What is built needs no database.
        for command in work.build {
            let command = ProcessCommand::Arguments(command);
            let hint = "see its last lines of output; mend it in the repository, or set `build` in [app] of the project file";
            let _core = cx.turn(Resource::Core).await?;
            command_of(cx, &run_file, filled_in(command, &values), ("build", hint)).await?;
        }
        if work.release.is_empty() {
            return Ok(());
        }
        // Two migrations of one database would conflict.
        let _turn = match is_shared {
            true => Some(
                cx.turn(Resource::Database(cx.project_name().clone()))
                    .await?,
            ),
            false => None,
        };
        let _core = cx.turn(Resource::Core).await?;
        // One that fails, or never ends, may have changed it as well.
        if is_shared {
            cx.note(
                "the release commands work on the shared database: what they change there stays",
            );
        }
        for (key, command) in work.release {
            let hint = format!(
                "see its last lines of output; mend it in the repository, or set `{key}` in [app] of the project file"
            );
            command_of(
                cx,
                &run_file,
                filled_in(command, &values),
                (verb(key), &hint),
            )
            .await?;
        }
        Ok(())
    }

    /// What is to run: in a workspace that begins with a template, only what depends on the workspace.
    fn work(&self, cx: &Cx) -> Result<Work, Fault> {
        let recipe = cx.output::<Inspect>()?.recipe;
        let release = recipe
            .release
            .into_iter()
            .map(|command| ("release", command));
        if cx.is_of_stage() {
            // A stage runs what was built: its files are sealed, and its secrets are not for build commands.
            return Ok(Work {
                build: Vec::new(),
                release: release.collect(),
            });
        }
        let project = cx.project()?;
        let of = |key, commands: &[Command]| -> Vec<_> {
            let words = commands.iter().map(|command| command.words().to_vec());
            words
                .map(|words| (key, ProcessCommand::Arguments(words)))
                .collect()
        };
        let personal = of("personal", &project.app.personal);
        // Data that a workspace begins with is nothing for a deployment.
        Ok(match cx.output::<TakeTemplate>() {
            Ok(taken) if taken.is_taken => Work {
                build: Vec::new(),
                release: personal,
            },
            Ok(_) => Work {
                build: recipe.build,
                release: release
                    .chain(of("seed", &project.app.seed))
                    .chain(personal)
                    .collect(),
            },
            Err(_) => Work {
                build: recipe.build,
                release: release.chain(personal).collect(),
            },
        })
    }
}

/// What the commands of a key of `[app]` are for.
fn verb(key: &str) -> &'static str {
    match key {
        "seed" => "make the data to begin with",
        "personal" => "make what is the workspace's own",
        _ => "release",
    }
}

/// What is to run.
struct Work {
    build: Vec<Vec<String>>,
    /// With the key of `[app]` that says so.
    release: Vec<(&'static str, ProcessCommand)>,
}

/// Runs one command in the tree; it must succeed.
pub(super) async fn command_of(
    cx: &Cx,
    run_file: &RunFile,
    command: ProcessCommand,
    (verb, hint): (&str, &str),
) -> Result<(), Fault> {
    let (shown, command) = match command {
        ProcessCommand::Arguments(words) => (words.join(" "), words),
        // A Procfile's line is shell by convention.
        ProcessCommand::Shell(line) => (line.clone(), vec!["/bin/sh".into(), "-c".into(), line]),
    };
    cx.line(format!("$ {shown}")).await;
    let request = RunCommand {
        command,
        dir: run_file.dir.clone(),
        env: run_file
            .network
            .clone()
            .into_iter()
            .chain(run_file.env.clone())
            .collect(),
        alone: false,
    };
    judge(cx.ask(cx.user(), request).await?, verb, &shown, hint)
}
