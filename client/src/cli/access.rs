//! `cictl access`

use super::{Cx, Failure, Outcome, follow};
use crate::ui::{error, text};
use cid_client::{Client, Exit, Job, JobKind, Workspace, WorkspaceState};
use clap::{ArgGroup, Args, Subcommand};

/// Mend who may read and write workspaces' files
#[derive(Debug, Args)]
pub(super) struct Access {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Repair(Repair),
}

/// Give developer and group access to the files once more
///
/// For when the project's file names other people than it did, and for files
/// that were moved in from elsewhere and kept modes of their own. Files with
/// more than one hard link, and those of strangers, are left alone and named.
#[derive(Debug, Args)]
// One of them: a call with neither is told of both.
#[command(group = ArgGroup::new("whose").args(["email", "all"]).required(true))]
struct Repair {
    /// Whose workspace
    email: Option<String>,
    /// Which project's; may be left out where there is only one it can be
    #[arg(short, long)]
    project: Option<String>,
    /// Every workspace that is ready, one after the other; what fails is said and left, those that you
    /// may not repair are counted, and the exit status is that of the first failure; with --project, all
    /// of that project
    #[arg(long)]
    all: bool,
}

impl Access {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        match self.verb {
            Verb::Repair(repair) => repair.run(cx).await,
        }
    }
}

impl Repair {
    async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        let Some(email) = &self.email else {
            return self.all(cx, &client).await;
        };
        let job = one(cx, &client, email, self.project.as_deref()).await?;
        cx.print(&job, String::new)?;
        Ok(Exit::Done)
    }

    async fn all(&self, cx: &Cx, client: &Client) -> Outcome {
        let (mut jobs, mut failures, mut denied) = (Vec::new(), Vec::new(), 0_usize);
        let workspaces = client.list(self.project.as_deref()).await?;
        let is_ready = |workspace: &&Workspace| workspace.state == WorkspaceState::Ready;
        for workspace in workspaces.iter().filter(is_ready) {
            let (email, project) = (&workspace.email, &workspace.project);
            match one(cx, client, email, Some(project)).await {
                Ok(job) => jobs.push(job),
                Err(detached @ Failure::Detached(_)) => return Err(detached),
                // Mostly a developer's who means what is his.
                Err(failure) if failure.exit() == Exit::Denied => {
                    denied += 1;
                    failures.push(failure);
                }
                Err(failure) => {
                    let about = format!("{} in {}", text::clean(email), text::clean(project));
                    cx.say(&format!("{about}: not repaired"));
                    error::print(&failure, cx.format());
                    failures.push(failure);
                }
            }
        }
        if denied > 0 {
            cx.say(&not_yours(denied));
        }
        cx.print(&jobs, String::new)?;
        Ok(failures.first().map_or(Exit::Done, Failure::exit))
    }
}

fn not_yours(count: usize) -> String {
    let workspaces = match count {
        1 => "1 workspace is".to_owned(),
        count => format!("{count} workspaces are"),
    };
    format!(
        "{workspaces} left as before: you may not repair what is not yours (--interactive asks an administrator)"
    )
}

async fn one(cx: &Cx, client: &Client, email: &str, project: Option<&str>) -> Result<Job, Failure> {
    let repair = async || client.repair_access(email, project).await;
    let id = client
        .start(JobKind::RepairAccess, email, project, repair)
        .await?;
    let job = follow::to_success(cx, client, &id).await?;
    cx.say(&format!(
        "the access to the files of {} in {} is repaired after {}",
        text::clean(&job.email),
        text::clean(&job.project),
        text::took_by(&job)
    ));
    Ok(job)
}
