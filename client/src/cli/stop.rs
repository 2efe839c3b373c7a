//! `cictl stop`, `cictl sleep` and `cictl start`

use super::{Cx, Outcome, Target, create::print_address, follow};
use crate::ui::text;
use cid_client::{Exit, JobKind, Workspace, WorkspaceState};
use clap::Args;

/// Stop a workspace's processes until somebody starts them
///
/// Its files stay, commands and shells can be run in it, and its visitors are told that it is stopped, also after the
/// machine was started anew. Requests under way are answered first, for half a minute at most.
#[derive(Debug, Args)]
pub(super) struct Stop {
    #[command(flatten)]
    rest: Rest,
}

/// Stop a workspace's processes until its next visitor comes
///
/// A visitor waits until they run again, and no request is lost. Where connections stay open for half a minute, such as
/// WebSockets, it stays awake. `[sleep]` in the project file has it done by itself.
#[derive(Debug, Args)]
pub(super) struct Sleep {
    #[command(flatten)]
    rest: Rest,
}

/// Start the processes of a workspace that is stopped or asleep
#[derive(Debug, Args)]
pub(super) struct Start {
    #[command(flatten)]
    rest: Rest,
}

#[derive(Debug, Args)]
struct Rest {
    #[command(flatten)]
    target: Target,
    /// Start the job and do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

impl Stop {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        self.rest.stop(cx, false).await
    }
}

impl Sleep {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        self.rest.stop(cx, true).await
    }
}

impl Start {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let Rest { target, no_wait } = self.rest;
        let client = cx.connect().await?;
        let (email, project) = (target.email.as_str(), target.project());
        let start = async || {
            let begun = client.start_again(email, project).await;
            begun.map(Option::unwrap_or_default)
        };
        let id = client.start(JobKind::Start, email, project, start).await?;
        if id.is_empty() {
            let workspace = client.get(&target.email, target.project()).await?;
            cx.say("it is not stopped");
            print_address(cx, &workspace)?;
            return Ok(Exit::Done);
        }
        if no_wait {
            cx.print(&client.job(&id).await?, || follow::started(&id))?;
            return Ok(Exit::Done);
        }
        let (job, workspace) = follow::to_workspace(cx, &client, &target, &id).await?;
        cx.say(&format!("started after {}", text::took_by(&job)));
        print_address(cx, &workspace)?;
        Ok(Exit::Done)
    }
}

impl Rest {
    async fn stop(self, cx: &Cx, sleep: bool) -> Outcome {
        let Self { target, no_wait } = self;
        let client = cx.connect().await?;
        let (email, project) = (target.email.as_str(), target.project());
        let kind = if sleep { JobKind::Sleep } else { JobKind::Stop };
        let stop = async || {
            let begun = client.stop(email, project, sleep).await;
            begun.map(Option::unwrap_or_default)
        };
        let id = client.start(kind, email, project, stop).await?;
        if id.is_empty() {
            let workspace = client.get(&target.email, target.project()).await?;
            cx.print(&workspace, || format!("it is {} already", word(&workspace)))?;
            return Ok(Exit::Done);
        }
        if no_wait {
            cx.print(&client.job(&id).await?, || follow::started(&id))?;
            return Ok(Exit::Done);
        }
        let (job, workspace) = follow::to_workspace(cx, &client, &target, &id).await?;
        cx.print(&workspace, || {
            format!("{} after {}", word(&workspace), text::took_by(&job))
        })?;
        Ok(Exit::Done)
    }
}

fn word(workspace: &Workspace) -> &'static str {
    match workspace.state {
        WorkspaceState::Stopped => "stopped",
        WorkspaceState::Asleep => "asleep",
        // A visitor came.
        _ => "awake",
    }
}
