//! `cictl test`

use super::{Cx, Outcome, Target, cx, run};
use crate::ui::text;
use cid_client::{Error, Exit, Kind, RunOutput};
use clap::Args;
use futures::StreamExt as _;
use serde::Serialize;
use std::io;

/// Run the project's tests in a workspace, as its user
///
/// These are the commands that test a build, by the files as they are in the workspace: one after the other, until one
/// fails. Their output and the exit status of the last one are passed on. They have the workspace's variables and those
/// of [test], and a SQLite file in the workspace's `tmp` as DATABASE_URL.
#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    target: Target,
}

/// One test; `-o json` prints them when the last has ended.
#[derive(Debug, Default, Serialize)]
struct Tested {
    command: String,
    exit_status: u8,
    stdout: String,
    stderr: String,
}

impl Test {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let email = self.target.email.as_str();
        let workspace = client.get(email, self.target.project()).await?;
        let project = client.project(&workspace.project).await?;
        if project.test.is_empty() {
            let message = format!("the project {} has no tests", project.name);
            return Err(Error::new(Kind::NotFound, message)
                .with_hint("name their commands under [app] test in the project's file")
                .into());
        }
        let mut tested = Vec::new();
        let mut status = 0;
        for (number, command) in (1..).zip(project.test) {
            cx.say(&format!("$ {}", text::clean(&command)));
            let mut answers = client.run_test(email, Some(&project.name), number).await?;
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let mut ended = None;
            while let Some(answer) = answers.next().await {
                match answer? {
                    RunOutput::Stdout(bytes) if cx.is_json() => stdout.extend(bytes),
                    RunOutput::Stderr(bytes) if cx.is_json() => stderr.extend(bytes),
                    RunOutput::Stdout(bytes) => run::pass_on(io::stdout(), &bytes)?,
                    RunOutput::Stderr(bytes) => run::pass_on(io::stderr(), &bytes)?,
                    RunOutput::Exit(status) => ended = Some(status),
                }
            }
            status = ended.ok_or_else(run::unknown_end)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            tested.push(Tested {
                command,
                exit_status: status,
                stdout: text(&stdout),
                stderr: text(&stderr),
            });
            if status != 0 {
                break;
            }
        }
        if cx.is_json() {
            cx::json_line(&tested)?;
        }
        Ok(Exit::Command(status))
    }
}
