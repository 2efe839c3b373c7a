//! Jobs as they are now, and what is done to them.

use super::subject;
use crate::{
    authz::{Action, Claim, Decision, Denial, Permit, Subject, Viewer},
    cid::Cid,
    domain::{
        About, JobKind, JobState, Owner,
        event::{Progress, What},
    },
    engine::{Plan, Step as _},
    error::Error,
    step::Release,
    store::{JobFilter, JobRow},
    system::queue::Waiting,
};
use uuid::Uuid;

/// A job as it is now.
#[derive(Debug)]
pub struct ShownJob {
    /// Its row, without output that the caller may not see.
    pub row: JobRow,
    /// How far its steps are; `None` in a list.
    pub progress: Option<Progress>,
    /// What is in the way of a stuck job.
    pub stuck: Option<String>,
    /// What it could not do and cid goes on trying.
    pub owed: Vec<String>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// Why the last lines of its failure are not shown.
    pub withheld: String,
    /// What its steps noted for people; none in a list.
    pub notes: Vec<String>,
    /// The step whose effect stays when all is taken back, by its place.
    pub stays: Option<usize>,
}

/// One job, with the last lines of its failure if this viewer may see them.
///
/// # Errors
/// No such job, or the ledger fails.
pub async fn show_job(cid: &Cid, viewer: &Viewer, id: Uuid) -> Result<ShownJob, Error> {
    let mut job = shown(cid, job_to_see(cid, viewer, id).await?).await?;
    let subject = about(cid, &job.row);
    if let Some(failure) = job.row.failure.as_mut().filter(|f| !f.output.is_empty()) {
        match viewer.may_see_output(&subject).await {
            Decision::Allowed => viewer.has_read(&subject).await,
            Decision::Denied(denial) => {
                failure.output.clear();
                job.withheld = withheld(&denial);
            }
        }
    }
    Ok(job)
}

/// Of those that the viewer may see at most `limit` jobs, newest first, without output.
///
/// # Errors
/// The filter names an address that is not the viewer's to see, or the ledger fails.
pub async fn list_jobs(
    cid: &Cid,
    viewer: &Viewer,
    mut filter: JobFilter,
    limit: usize,
) -> Result<Vec<ShownJob>, Error> {
    match (viewer.only(), &filter.owner) {
        (Some(own), None) => filter.owner = Some(own.clone().into()),
        (_, Some(owner)) => viewer.may_see(owner.person())?,
        (None, None) => {}
    }
    let rows = cid.store.jobs(filter, limit).await?;
    let mut waiting = cid.sys.queues.all_waiting();
    let listed = |row: JobRow| ShownJob {
        progress: None,
        stuck: None,
        owed: Vec::new(),
        waiting: waiting.remove(&row.id),
        withheld: String::new(),
        notes: Vec::new(),
        stays: None,
        row: without_output(row),
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Stops a job and has it undone.
///
/// # Errors
/// No such job, it cannot be cancelled now, or the actor may not.
pub async fn cancel_job(cid: &Cid, claim: Claim, id: Uuid) -> Result<ShownJob, Error> {
    let permit = bind(cid, claim, id).await?;
    cid.engine.cancel(permit, id).await?;
    shown(cid, without_output(cid.engine.job(id).await?)).await
}

/// Makes a stuck job continue.
///
/// # Errors
/// No such job, it is not stuck, or the actor may not.
pub async fn retry_job(cid: &Cid, claim: Claim, id: Uuid) -> Result<ShownJob, Error> {
    let permit = bind(cid, claim, id).await?;
    cid.engine.retry(permit, id).await?;
    shown(cid, without_output(cid.engine.job(id).await?)).await
}

/// A job that the viewer may see. To others it looks as if it did not exist.
pub(super) async fn job_to_see(cid: &Cid, viewer: &Viewer, id: Uuid) -> Result<JobRow, Error> {
    let job = cid.engine.job(id).await;
    match &job {
        Ok(job) => {
            viewer.looks_at(&job.project, id);
            viewer.may_see(job.about.owner().and_then(Owner::person))?;
        }
        Err(_) => viewer.may_see_all()?,
    }
    job
}

/// The workspace that a job is about.
pub(super) fn about(cid: &Cid, job: &JobRow) -> Subject {
    let creator = job.about.creator();
    match &job.about {
        About::Workspace { owner, name, .. } => {
            let made = Some((name, creator));
            subject(cid, &job.project, owner, made, Some(job.id))
        }
        About::Build { .. } => Subject {
            project: job.project.clone(),
            owner: None,
            deployers: None,
            workspace: None,
            account: None,
            creator: Some(creator.clone()),
            job: Some(job.id),
        },
    }
}

async fn bind(cid: &Cid, claim: Claim, id: Uuid) -> Result<Permit, Error> {
    let job = cid.engine.job(id).await?;
    claim.bind(about(cid, &job)).await
}

/// Shown instead of a failure's last lines.
fn withheld(denial: &Denial) -> String {
    let right = Action::ReadLogs.id();
    format!(
        "not shown: output is for those who may read the workspace's logs ({right}): {}",
        denial.reason
    )
}

/// Output is shown only to callers who ask for this one job and may read its workspace's logs.
fn without_output(mut row: JobRow) -> JobRow {
    if let Some(failure) = &mut row.failure {
        failure.output.clear();
    }
    row
}

async fn shown(cid: &Cid, row: JobRow) -> Result<ShownJob, Error> {
    let id = row.id;
    let plan: Option<Plan> = serde_json::from_value(row.plan.clone()).ok();
    let steps = plan.map(|plan| plan.steps).unwrap_or_default();
    // What a creation's commands changed goes with its folder.
    let stays = steps.iter().position(|step| step.kind == Release::KIND);
    let stays = stays.filter(|_| row.kind == JobKind::Deploy);
    let mut progress = Progress::new(steps.len());
    let mut stuck = None;
    for event in cid.store.milestones(id).await? {
        match &event.what {
            What::Stuck { message, .. } => stuck = Some(message.clone()),
            What::Retried => stuck = None,
            _ => {}
        }
        if let Err(error) = progress.next(&event.what) {
            tracing::warn!(job = %id, "{error}");
        }
    }
    let notes = cid.store.notes(id).await?;
    let owed = cid.store.owed().await?;
    let owed = owed
        .iter()
        .filter(|owed| owed.job == id)
        .map(|owed| format!("{} ({})", owed.debt, owed.reason));
    Ok(ShownJob {
        progress: Some(progress),
        stuck: stuck.filter(|_| row.state == JobState::Stuck),
        owed: owed.collect(),
        stays,
        notes: notes.into_iter().map(|(_, text)| text).collect(),
        waiting: cid.engine.waiting(id),
        withheld: String::new(),
        row,
    })
}
