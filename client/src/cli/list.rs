//! `cictl list`

use super::{Cx, Outcome};
use crate::ui::table;
use cid_client::Exit;
use clap::Args;

/// Show all workspaces
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only this project's
    #[arg(short, long)]
    project: Option<String>,
}

impl List {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let workspaces = client.list(self.project.as_deref()).await?;
        if workspaces.is_empty() {
            cx.say("there are no workspaces; make one with: cictl create EMAIL");
        }
        cx.print(&workspaces, || table::workspaces(&workspaces, cx.width()))?;
        Ok(Exit::Done)
    }
}
