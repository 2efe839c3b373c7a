//! `cictl show`

use super::{Cx, Failure, Outcome, Target};
use crate::ui::table;
use cid_client::{
    Client, Error, Exit, Kind, LogOptions, Process, ProcessState, ShownStage, Workspace,
};
use clap::Args;
use futures::StreamExt as _;

/// So many last lines of a process that is crashing.
const LINES: u32 = 10;

/// Show one workspace, or a stage
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        if let Some(stage) = self.stage(&client).await? {
            cx.print(&stage, || table::stage(&stage))?;
            return Ok(Exit::Done);
        }
        let mut workspace = client
            .show(&self.target.email, self.target.project())
            .await?;
        add_last_lines(&client, &mut workspace).await;
        cx.print(&workspace, || table::workspace(&workspace))?;
        Ok(Exit::Done)
    }

    /// The stage that is named, if the word is no address.
    async fn stage(&self, client: &Client) -> Result<Option<ShownStage>, Failure> {
        let name = &self.target.email;
        if name.contains('@') {
            return Ok(None);
        }
        let mut found = client.stages(self.target.project()).await?;
        found.retain(|stage| stage.name == *name);
        if let [first, second, ..] = &found[..] {
            let message = format!(
                "{name} is a stage of several projects: {}, {}",
                first.project, second.project
            );
            return Err(Error::new(Kind::Invalid, message)
                .with_hint("say which one with -p PROJECT")
                .into());
        }
        let Some(stage) = found.pop() else {
            return Ok(None);
        };
        let mut processes = Vec::new();
        if stage.state.is_some() {
            let mut row = client.get(name, Some(&stage.project)).await?;
            add_last_lines(client, &mut row).await;
            processes = row.processes;
        }
        Ok(Some(ShownStage { stage, processes }))
    }
}

/// Adds what crashing processes wrote last.
async fn add_last_lines(client: &Client, workspace: &mut Workspace) {
    let mut processes = std::mem::take(&mut workspace.processes);
    for process in &mut processes {
        if process.state == ProcessState::Crashing {
            process.last_lines = last_lines(client, workspace, process).await;
        }
    }
    workspace.processes = processes;
}

/// What a process wrote last; nothing if the caller may not read it.
async fn last_lines(client: &Client, workspace: &Workspace, process: &Process) -> Vec<String> {
    let options = LogOptions {
        process: Some(process.name.clone()),
        follow: false,
        lines: LINES,
        after: None,
    };
    let project = Some(workspace.project.as_str());
    let Ok(lines) = client.logs(&workspace.email, project, options).await else {
        return Vec::new();
    };
    let text = |line: cid_client::LogLine| String::from_utf8_lossy(&line.line).into_owned();
    lines
        .take_while(|line| std::future::ready(line.is_ok()))
        .filter_map(|line| std::future::ready(line.ok().map(text)))
        .collect()
        .await
}
