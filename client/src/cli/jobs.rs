//! `cictl jobs`

use super::{Cx, Outcome, follow};
use crate::ui::table;
use cid_client::{Exit, Job, JobState};
use clap::{Args, Subcommand};

/// Show jobs, follow one, cancel one, go on with a stuck one
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Jobs {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(List),
    /// Show one job with its steps, and why it failed
    Show {
        /// The job
        id: String,
    },
    /// Follow a job from its beginning to its end; the exit status is the job's
    Watch {
        /// The job
        id: String,
    },
    /// Print all that a job's commands wrote; of one that runs, until it ends
    Logs {
        /// The job
        id: String,
    },
    /// Stop a job and take back what it did
    Cancel(Change),
    /// Go on with a stuck job where it stopped
    Retry(Change),
}

/// Show the newest jobs, newest first (so does `jobs` alone)
#[derive(Debug, Args)]
struct List {
    /// Only this address's
    #[arg(short, long)]
    email: Option<String>,
    /// Only this project's
    #[arg(short, long)]
    project: Option<String>,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Args)]
struct Change {
    /// The job
    id: String,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

impl Jobs {
    pub(super) async fn run(self, cx: &Cx) -> Outcome {
        let client = cx.connect().await?;
        match self.verb.unwrap_or(Verb::List(self.list)) {
            Verb::List(list) => {
                let jobs = client
                    .jobs(list.email.as_deref(), list.project.as_deref(), list.limit)
                    .await?;
                cx.print_list(&jobs, "there are no such jobs", || {
                    table::jobs(&jobs, cx.width())
                })?;
            }
            Verb::Show { id } => {
                let job = client.job(&id).await?;
                cx.print(&job, || table::job(&job))?;
            }
            Verb::Watch { id } => {
                let job = follow::to_success(cx, &client, &id).await?;
                cx.print(&job, || ended(&job))?;
            }
            Verb::Logs { id } => follow::print_output(cx, &client, &id).await?,
            Verb::Cancel(Change { id, no_wait }) => {
                let mut job = client.cancel(&id).await?;
                if no_wait {
                    cx.print(&job, || follow::started(&id))?;
                    return Ok(Exit::Done);
                }
                job = follow::to_its_end(cx, &client, &id).await?;
                if !matches!(job.state, JobState::Cancelled | JobState::Undone) {
                    return Err(follow::failed(cx, job)?);
                }
                follow::say_owed(cx, &job);
                cx.print(&job, || ended(&job))?;
            }
            Verb::Retry(Change { id, no_wait }) => {
                let mut job = client.retry(&id).await?;
                if no_wait {
                    cx.print(&job, || follow::started(&id))?;
                    return Ok(Exit::Done);
                }
                job = follow::to_success(cx, &client, &id).await?;
                cx.print(&job, || ended(&job))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn ended(job: &Job) -> String {
    // Of a build it is the number.
    let about = match job.email.as_str() {
        "" => &job.name,
        email => email,
    };
    crate::ui::text::clean(&format!(
        "{}: {} {about} in {}",
        job.state, job.kind, job.project
    ))
}
