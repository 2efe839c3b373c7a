use crate::{
    error::{Answer, Problem, Refusal},
    form::Posted,
    page::{self, workspace::find},
};
use axum::{
    extract::Path,
    response::{IntoResponse, Redirect, Response},
};
use cid_client::Workspace;

/// Restarts a workspace's processes, and leads to the job.
pub async fn restart(Path((project, who)): Path<(String, String)>, posted: Posted) -> Answer {
    let [] = posted.values([])?;
    let refuse = |problem| Refusal(posted.lang, problem);
    let daemon = &posted.visitor.daemon;
    let workspace = find(daemon, &project, &who).await.map_err(refuse)?;
    let job = daemon
        .restart(&workspace.email, Some(&workspace.project))
        .await
        .map_err(|err| refuse(err.into()))?;
    Ok(to_job(&job))
}

/// Stops a workspace's processes until somebody starts them, and leads to the job.
pub async fn stop(of: Path<(String, String)>, posted: Posted) -> Answer {
    stop_until(of, posted, false).await
}

/// Stops a workspace's processes until its next visitor comes, and leads to the job.
pub async fn sleep(of: Path<(String, String)>, posted: Posted) -> Answer {
    stop_until(of, posted, true).await
}

async fn stop_until(
    Path((project, who)): Path<(String, String)>,
    posted: Posted,
    visited: bool,
) -> Answer {
    let [] = posted.values([])?;
    let refuse = |problem| Refusal(posted.lang, problem);
    let daemon = &posted.visitor.daemon;
    let workspace = find(daemon, &project, &who).await.map_err(refuse)?;
    let job = daemon
        .stop(&workspace.email, Some(&workspace.project), visited)
        .await
        .map_err(|err| refuse(err.into()))?;
    Ok(to_job_or_back(job, &workspace))
}

/// Has the processes of a workspace run again, and leads to the job.
pub async fn start(Path((project, who)): Path<(String, String)>, posted: Posted) -> Answer {
    let [] = posted.values([])?;
    let refuse = |problem| Refusal(posted.lang, problem);
    let daemon = &posted.visitor.daemon;
    let workspace = find(daemon, &project, &who).await.map_err(refuse)?;
    let job = daemon
        .start_again(&workspace.email, Some(&workspace.project))
        .await
        .map_err(|err| refuse(err.into()))?;
    Ok(to_job_or_back(job, &workspace))
}

fn to_job_or_back(job: Option<String>, workspace: &Workspace) -> Response {
    match job {
        Some(job) => to_job(&job),
        // There was nothing to do.
        None => Redirect::to(&page::workspace_path(workspace)).into_response(),
    }
}

/// Brings a workspace to its branch's newest commit, and leads to the job.
pub async fn deploy(Path((project, who)): Path<(String, String)>, posted: Posted) -> Answer {
    let [] = posted.values([])?;
    let refuse = |problem| Refusal(posted.lang, problem);
    let daemon = &posted.visitor.daemon;
    let workspace = find(daemon, &project, &who).await.map_err(refuse)?;
    let job = daemon
        .deploy(&workspace.email, Some(&workspace.project))
        .await
        .map_err(|err| refuse(err.into()))?;
    Ok(to_job(&job))
}

/// Stops a job and has it taken back.
pub async fn cancel(Path(id): Path<String>, posted: Posted) -> Answer {
    let [] = posted.values([])?;
    let cancelled = posted.visitor.daemon.cancel(&id).await;
    cancelled.map_err(|err| Refusal(posted.lang, Problem::or_missing(err, Problem::NoJob)))?;
    Ok(to_job(&id))
}

/// Makes a stuck job go on.
pub async fn retry(Path(id): Path<String>, posted: Posted) -> Answer {
    let [] = posted.values([])?;
    let retried = posted.visitor.daemon.retry(&id).await;
    retried.map_err(|err| Refusal(posted.lang, Problem::or_missing(err, Problem::NoJob)))?;
    Ok(to_job(&id))
}

/// Leads to a job's page.
pub fn to_job(id: &str) -> Response {
    Redirect::to(&page::job_path(id)).into_response()
}
