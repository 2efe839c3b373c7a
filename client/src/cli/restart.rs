//! `cictl restart`

use super::{Cx, Outcome, Target, create::print_address, follow};
use crate::ui::text;
use cid_client::{Exit, JobKind};
use clap::Args;

/// Restart a workspace's processes
#[derive(Debug, Args)]
pub(super) struct Restart {
    #[command(flatten)]
    target: Target,
    /// Start the job and do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

impl Restart {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let (email, project) = (self.target.email.as_str(), self.target.project());
        let restart = async || client.restart(email, project).await;
        let id = client
            .start(JobKind::Restart, email, project, restart)
            .await?;
        if self.no_wait {
            cx.print(&client.job(&id).await?, || follow::started(&id))?;
            return Ok(Exit::Done);
        }
        let (job, workspace) = follow::to_workspace(cx, &client, &self.target, &id).await?;
        cx.say(&format!("restarted after {}", text::took_by(&job)));
        print_address(cx, &workspace)?;
        Ok(Exit::Done)
    }
}
