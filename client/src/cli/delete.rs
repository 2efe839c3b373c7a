//! `cictl delete`

use super::{Cx, Failure, Outcome, Target, follow};
use crate::ui::text;
use cid_client::{DeleteOptions, Error, Exit, Kind, Workspace};
use clap::Args;
use std::io::{self, IsTerminal as _};

/// Remove a workspace and everything that belongs to it
///
/// Asks first; where there is no terminal to ask on, --yes is required. Work that
/// is nowhere else - uncommitted files, commits that were not pushed - is named
/// and not removed, unless --discard says so.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cictl delete anna@example.com
  cictl delete anna@example.com --yes --with-branch
  cictl delete anna@example.com --yes --discard     (loses uncommitted and unpushed work)")]
pub(super) struct Delete {
    #[command(flatten)]
    target: Target,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Start the job and do not wait for its end
    #[arg(long)]
    no_wait: bool,
    /// Delete the remote branch as well
    #[arg(long)]
    with_branch: bool,
    /// With --with-branch: also when the branch has commits that are not in the base branch
    #[arg(long, requires = "with_branch")]
    force: bool,
    /// Lose uncommitted and unpushed work
    #[arg(long)]
    discard: bool,
}

impl Delete {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        if !self.yes && !can_ask() {
            return Err(Error::new(
                Kind::Invalid,
                "cannot ask whether to delete: this is no terminal",
            )
            .with_hint("pass --yes to delete without being asked")
            .into());
        }
        let client = cx.connect().await?;
        let mut project = self.target.project.clone();
        if !self.yes {
            let workspace = client
                .get(&self.target.email, self.target.project())
                .await?;
            if !self.confirmed(&workspace).await? {
                cx.say("nothing was deleted");
                return Ok(Exit::Failed);
            }
            project = Some(workspace.project);
        }
        let options = DeleteOptions {
            with_branch: self.with_branch,
            force: self.force,
            discard: self.discard,
        };
        let id = client
            .delete_resuming(&self.target.email, project.as_deref(), options)
            .await?;
        if self.no_wait {
            cx.print(&client.job(&id).await?, || follow::started(&id))?;
            return Ok(Exit::Done);
        }
        let job = follow::to_success(cx, &client, &id).await?;
        cx.print(&job, || {
            format!(
                "deleted {} in {}",
                text::clean(&job.email),
                text::clean(&job.project)
            )
        })?;
        Ok(Exit::Done)
    }

    async fn confirmed(&self, workspace: &Workspace) -> Result<bool, Failure> {
        let branch = if self.with_branch {
            format!(" and its branch {}", workspace.branch)
        } else {
            String::new()
        };
        confirmed(&format!(
            "delete the workspace of {} in {}, {}{branch}? [y/N] ",
            workspace.email, workspace.project, workspace.directory
        ))
        .await
    }
}

/// Asks a question that can be answered by yes or no.
pub(super) async fn confirmed(question: &str) -> Result<bool, Failure> {
    text::ask(&text::clean(question));
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    })
    .await
    .map_err(io::Error::other)
    .flatten()
    .map_err(|error| Failure::Io("cannot read the answer", error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Whether there is a terminal to ask on.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
