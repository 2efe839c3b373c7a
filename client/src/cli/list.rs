//! `cictl list`

use super::{Cx, Outcome};
use crate::ui::table;
use cid_client::Exit;
use clap::Args;

/// What there is to do first.
pub(super) const NO_PROJECTS: &str = "there are no projects; begin one with: cictl project init NAME \
     --url URL --domain DOMAIN --write FILE, where FILE is /etc/cid/projects.d/NAME.toml (in a sandbox: \
     DIR/etc/projects.d/NAME.toml), and then: cictl project check NAME";

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
            let has_projects = !client.projects().await?.is_empty();
            cx.say(match has_projects {
                true => "there are no workspaces; make one with: cictl create EMAIL",
                false => NO_PROJECTS,
            });
        }
        cx.print(&workspaces, || table::workspaces(&workspaces, cx.width()))?;
        Ok(Exit::Done)
    }
}
