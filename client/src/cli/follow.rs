//! Waiting for a job, and showing how it gets on.

use super::{Cx, Failure, cx};
use crate::ui::{progress::Progress, text};
use cid_client::{Client, Job, JobState, persistently};
use futures::StreamExt as _;
use tokio::signal::ctrl_c;

/// Follows a job until it has come to rest, and gives it as it is then.
pub(super) async fn to_its_end(cx: &Cx, client: &Client, job: &str) -> Result<Job, Failure> {
    let following = async {
        let mut progress = Progress::new(cx.format());
        let mut events = client.watch_resuming(job);
        while let Some(event) = events.next().await {
            progress.event(&event?)?;
        }
        drop(progress);
        Ok(persistently(|| client.job(job)).await?)
    };
    tokio::select! {
        job = following => job,
        Ok(()) = ctrl_c() => Err(Failure::Detached(job.to_owned())),
    }
}

/// As [`to_its_end`]; a job that does not end done is a failure.
pub(super) async fn to_success(cx: &Cx, client: &Client, job: &str) -> Result<Job, Failure> {
    let job = to_its_end(cx, client, job).await?;
    if job.state != JobState::Done {
        return Err(failed(cx, job)?);
    }
    say_owed(cx, &job);
    Ok(job)
}

/// The failure that a job is; its document stands last on standard output all the same.
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
