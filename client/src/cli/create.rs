//! `cictl create`

use super::{Cx, Failure, Outcome, Target, follow};
use crate::ui::text;
use cid_client::{Exit, Workspace};
use clap::Args;

/// Make a workspace: a directory, a branch, a running copy of the project and its address
///
/// Waits until it is ready and prints its address, alone on standard output; the
/// progress goes to standard error. Ctrl-C stops the waiting, not the job.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cictl create anna@example.com
  cictl create anna@example.com -p pressa --no-wait
  cictl create anna@example.com --from release-2
  cictl create anna@example.com -o json | tail -n 1 | jq -r .url")]
pub(super) struct Create {
    #[command(flatten)]
    target: Target,
    /// The branch that the workspace's own begins from [default: the project's base]
    #[arg(long, value_name = "BRANCH")]
    from: Option<String>,
    /// Start the job and do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

impl Create {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let (email, project) = (&self.target.email, self.target.project());
        let base = self.from.as_deref();
        if self.no_wait {
            let created = client.create(email, project, base).await?;
            let workspace = Workspace {
                job: Some(created.job.clone()),
                ..created.workspace
            };
            cx.print(&workspace, || follow::started(&created.job))?;
            return Ok(Exit::Done);
        }
        let id = client.create_resuming(email, project, base).await?;
        let (job, workspace) = follow::to_workspace(cx, &client, &self.target, &id).await?;
        cx.say(&format!("ready after {}", text::took_by(&job)));
        print_address(cx, &workspace)?;
        Ok(Exit::Done)
    }
}

/// Prints where a workspace answers, or where it is when nothing there answers.
pub(super) fn print_address(cx: &Cx, workspace: &Workspace) -> Result<(), Failure> {
    cx.print(workspace, || {
        text::clean(workspace.url.as_ref().unwrap_or(&workspace.directory))
    })
}
