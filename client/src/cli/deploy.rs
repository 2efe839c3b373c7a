//! `cictl deploy`

use super::{Cx, Outcome, Target, create::print_address, follow};
use crate::ui::text;
use cid_client::{Exit, JobKind};
use clap::Args;

/// Bring a workspace up to date with its branch on the remote
///
/// A clean tree is fast-forwarded; one with uncommitted or unpushed work is deployed as it is. Packages, release
/// commands and processes follow, and so does what was changed in the tree (Procfile, requirements) and in the project
/// file. Visitors have the earlier processes until the new ones answer. When nothing has changed, nothing is restarted.
#[derive(Debug, Args)]
pub(super) struct Deploy {
    #[command(flatten)]
    target: Target,
    /// Start the job and do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

impl Deploy {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let (email, project) = (self.target.email.as_str(), self.target.project());
        let deploy = async || client.deploy(email, project).await;
        let id = client
            .start(JobKind::Deploy, email, project, deploy)
            .await?;
        if self.no_wait {
            cx.print(&client.job(&id).await?, || follow::started(&id))?;
            return Ok(Exit::Done);
        }
        let (job, workspace) = follow::to_workspace(cx, &client, &self.target, &id).await?;
        // A note of the job has said so.
        let has_changed = job.steps.iter().any(|step| !step.idle);
        if has_changed {
            cx.say(&format!("deployed after {}", text::took_by(&job)));
        }
        print_address(cx, &workspace)?;
        Ok(Exit::Done)
    }
}
