//! `cictl rollback`

use super::{Cx, Outcome, promote::finish};
use clap::Args;

/// Have an older build run in a stage again
///
/// Release commands do not run. What they changed in a database since is not taken back: the answer says so, and where
/// the copy is that the stage's `backup` commands made.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The stage
    stage: String,
    /// The build's number; by default the newest that ran there and is older than what runs
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    build: Option<u32>,
    /// Which project's; may be left out where there is only one it can be
    #[arg(short, long)]
    project: Option<String>,
    /// Start the job and do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

impl Rollback {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let project = self.project.as_deref();
        let begun = client.roll_back(project, &self.stage, self.build).await?;
        finish(cx, &client, project, &self.stage, begun, self.no_wait).await
    }
}
