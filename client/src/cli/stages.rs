//! `cictl stages`

use super::{Cx, Outcome};
use crate::ui::table;
use cid_client::Exit;
use clap::Args;

/// Show the stages of projects, and the build that runs in each
///
/// PROMOTABLE is the newest build that `cictl promote STAGE` would deploy.
#[derive(Debug, Args)]
pub(super) struct Stages {
    /// Only this project's
    #[arg(short, long)]
    project: Option<String>,
}

impl Stages {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let stages = client.stages(self.project.as_deref()).await?;
        let none = "there are no stages; [stages.NAME] in a project file makes one";
        cx.print_list(&stages, none, || table::stages(&stages, cx.width()))?;
        Ok(Exit::Done)
    }
}
