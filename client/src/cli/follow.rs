//! Waiting for a job, and showing how it gets on.

use super::{Cx, Failure, Target, cx};
use crate::ui::{progress::Progress, text};
use cid_client::{Client, Job, JobState, What, Workspace, persistently};
use futures::StreamExt as _;
use tokio::signal::ctrl_c;

/// Follows a job until it has come to rest, and gives it as it is then.
pub(super) async fn to_its_end(cx: &Cx, client: &Client, job: &str) -> Result<Job, Failure> {
    let following = async {
        show(cx, client, job).await?;
        Ok(persistently(|| client.job(job)).await?)
    };
    detachable(job, following).await
}

/// As [`to_its_end`]; a job that does not end done is a failure.
pub(super) async fn to_success(cx: &Cx, client: &Client, job: &str) -> Result<Job, Failure> {
    let job = to_its_end(cx, client, job).await?;
    succeeded(cx, job)
}

/// As [`to_success`], with the workspace as the job left it.
pub(super) async fn to_workspace(
    cx: &Cx,
    client: &Client,
    target: &Target,
    job: &str,
) -> Result<(Job, Workspace), Failure> {
    let following = async {
        show(cx, client, job).await?;
        // Both at once: a person waits for the answer.
        let (job, workspace) = tokio::join!(
            persistently(|| client.job(job)),
            persistently(|| client.get(&target.email, target.project())),
        );
        let job = succeeded(cx, job?)?;
        Ok((job, workspace?))
    };
    detachable(job, following).await
}

async fn show(cx: &Cx, client: &Client, job: &str) -> Result<(), Failure> {
    let mut progress = Progress::new(cx.format());
    let mut events = client.watch_resuming(job);
    while let Some(event) = events.next().await {
        progress.event(&event?)?;
    }
    Ok(())
}

/// Prints what the job's commands wrote; what its steps noted goes to standard error.
pub(super) async fn print_output(cx: &Cx, client: &Client, job: &str) -> Result<(), Failure> {
    let printing = async {
        let mut events = client.whole_output(job);
        while let Some(event) = events.next().await {
            let event = event?;
            match &event.what {
                What::Output { .. } if cx.is_json() => cx::json_line(&event)?,
                What::Output { lines, .. } => {
                    for line in lines {
                        cx::line(&text::clean(line))?;
                    }
                }
                What::Note { .. } if cx.is_json() => cx::json_line(&event)?,
                What::Note { text, .. } => cx.say(&format!("note: {}", text::clean(text))),
                _ => {}
            }
        }
        Ok(())
    };
    detachable(job, printing).await
}

/// Ctrl-C ends the waiting, not the job.
async fn detachable<T>(
    job: &str,
    waiting: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        result = waiting => result,
        Ok(()) = ctrl_c() => Err(Failure::Detached(job.to_owned())),
    }
}

fn succeeded(cx: &Cx, job: Job) -> Result<Job, Failure> {
    if job.state != JobState::Done {
        return Err(failed(cx, job)?);
    }
    say_owed(cx, &job);
    Ok(job)
}

/// The failure for a job. Its document is the last on standard output all the same.
pub(super) fn failed(cx: &Cx, job: Job) -> Result<Failure, Failure> {
    if cx.is_json() {
        cx::json_line(&job)?;
    }
    Ok(Failure::Job(Box::new(job)))
}

/// Names what a job could not do and cid will try again.
pub(super) fn say_owed(cx: &Cx, job: &Job) {
    for owed in &job.owed {
        cx.say(&format!("owed: {} (see: cictl doctor)", text::clean(owed)));
    }
}

/// What people read when they do not wait.
pub(super) fn started(job: &str) -> String {
    format!("started job {job}; follow it with: cictl jobs watch {job}")
}
