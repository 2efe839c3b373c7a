//! `cictl delete`

use super::{Cx, Failure, Outcome, Target, follow};
use crate::ui::{left, text};
use cid_client::{DeleteOptions, Deletion, Error, Exit, Job, Kind, LeftFiles, Workspace};
use clap::Args;
use serde::Serialize;
use std::io::{self, IsTerminal as _};

/// Remove a workspace and everything that belongs to it
///
/// Asks first; where there is no terminal to ask on, --yes is required. Work that
/// is nowhere else is named and not removed, unless --discard says so: changed and
/// untracked files, stashes, and commits that no branch or tag of a remote holds
/// now, in all repositories below src and home, submodules and linked worktrees
/// included. A remote that does not answer holds nothing. What goes with the
/// workspace and is named: files that git ignores, such as a local database,
/// unless people changed what cid or the release commands had made; files in home
/// that are in no repository; and commits that a reset or a deleted branch left
/// behind.
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
        let mut options = DeleteOptions {
            with_branch: self.with_branch,
            force: self.force,
            discard: self.discard,
            looked: String::new(),
        };
        let mut project = self.target.project.clone();
        if !self.yes {
            let workspace = client
                .get(&self.target.email, self.target.project())
                .await?;
            project = Some(workspace.project.clone());
            let look = client
                .look_before_delete(&self.target.email, project.as_deref(), options.clone())
                .await?;
            say_left(cx, &look.files);
            options.looked = look.looked;
            if !self.confirmed(&workspace).await? {
                cx.say("nothing was deleted");
                return Ok(Exit::Failed);
            }
        }
        let Deletion { job: id, files } = client
            .delete_resuming(&self.target.email, project.as_deref(), options)
            .await?;
        if self.yes {
            say_left(cx, &files);
        }
        if self.no_wait {
            let job = client.job(&id).await?;
            cx.print(&Document::of(&job, &files), || follow::started(&id))?;
            return Ok(Exit::Done);
        }
        let job = follow::to_success(cx, &client, &id).await?;
        cx.print(&Document::of(&job, &files), || {
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

/// The job, and what went with it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    job: &'a Job,
    files: &'a LeftFiles,
}

impl<'a> Document<'a> {
    fn of(job: &'a Job, files: &'a LeftFiles) -> Self {
        Self { job, files }
    }
}

fn say_left(cx: &Cx, files: &LeftFiles) {
    for line in left::lines(files) {
        cx.say(&line);
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
