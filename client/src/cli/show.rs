//! `cictl show`

use super::{Cx, Outcome, Target};
use crate::ui::table;
use cid_client::{Client, Exit, LogOptions, Process, ProcessState, Workspace};
use clap::Args;
use futures::StreamExt as _;

/// So many last lines of a process that is crashing.
const LINES: u32 = 10;

/// Show one workspace
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let mut workspace = client
            .show(&self.target.email, self.target.project())
            .await?;
        let mut processes = std::mem::take(&mut workspace.processes);
        for process in &mut processes {
            if process.state == ProcessState::Crashing {
                process.last_lines = last_lines(&client, &workspace, process).await;
            }
        }
        workspace.processes = processes;
        cx.print(&workspace, || table::workspace(&workspace))?;
        Ok(Exit::Done)
    }
}

/// What a process wrote last; nothing for who may not read it.
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
