use crate::{
    error::{Answer, Problem, Refusal},
    i18n::{Lang, Said},
    page::{self, Frame, delivery, workspace::clone_command},
    text::printable,
    visitor::Visitor,
};
use askama::Template;
use axum::{extract::Path, http::StatusCode};
use cid_client::{
    Client, Failure, Health, Job, JobKind, JobState, Kind, Step, StepState, What, Workspace,
    WorkspaceState,
};
use futures::{StreamExt, future};
use std::time::Duration;
use tokio::time::timeout;

/// So many notes are shown.
const NOTES: usize = 100;
/// How long reading them may take.
const NOTES_LIMIT: Duration = Duration::from_secs(2);

/// Shows a job: its steps, why it failed, and the workspace it is about while there is one.
pub async fn show(visitor: Visitor, lang: Lang, Path(id): Path<String>) -> Answer {
    let frame = Frame::of(&visitor, lang).await?;
    let job = visitor
        .daemon
        .job(&id)
        .await
        .map_err(|err| Refusal(lang, Problem::or_missing(err, Problem::NoJob)))?;
    let workspace = workspace_of(&visitor.daemon, &job)
        .await
        .map_err(|problem| Refusal(lang, problem))?;
    let clone_command = match &workspace {
        Some(workspace) => clone_command(&visitor.daemon, workspace).await,
        None => None,
    };
    // While it goes on, its page is told of them as they come.
    let notes = match job.state.is_at_rest() {
        true => notes_of(&visitor.daemon, &id).await,
        false => Vec::new(),
    };
    let may_act = frame.may_act_for(&job.email);
    let shown = JobPage {
        t: lang,
        frame,
        may_act,
        may_cancel: may_act && matches!(job.state, JobState::Queued | JobState::Running),
        may_retry: may_act && job.state == JobState::Stuck,
        heading: lang.job_line(&job),
        delivery: is_of_project(&job).then(|| delivery::path(&job.project)),
        status: status(lang, &job),
        left_alone: left_alone(lang, &notes),
        notes: notes
            .into_iter()
            .map(|(index, note)| (index, lang.daemon_says(&note).begun()))
            .collect(),
        live: !job.state.is_at_rest(),
        undone: job.kind == JobKind::Create
            && matches!(job.state, JobState::Undone | JobState::Cancelled)
            && job.owed.is_empty(),
        is_deleted: is_deleted(&job),
        branch_stays: is_deleted(&job)
            && !job
                .steps
                .iter()
                .any(|step| step.label.starts_with("delete the branch")),
        kept: job.kind == JobKind::Deploy
            && matches!(job.state, JobState::Undone | JobState::Cancelled),
        stuck: job.state == JobState::Stuck,
        again: job.kind == JobKind::Create
            && matches!(job.state, JobState::Undone | JobState::Cancelled)
            && workspace.is_none(),
        gone: job.state == JobState::Done
            && job.kind != JobKind::Delete
            && workspace.is_none()
            && !is_of_project(&job),
        // That somebody cancelled it is the heading.
        failure: job
            .failure
            .as_ref()
            .filter(|_| job.state != JobState::Cancelled)
            .map(|f| FailureView::of(lang, f)),
        clone_command,
        workspace: workspace.as_ref(),
        job: &job,
    };
    Ok(page::html(lang, StatusCode::OK, &shown))
}

/// What its steps noted, with the place of each; nothing where it cannot be had in time.
async fn notes_of(daemon: &Client, id: &str) -> Vec<(u32, String)> {
    let read = async {
        let events = daemon.watch(id, 0, false).await.ok()?;
        let notes = events.filter_map(|event| {
            future::ready(match event.map(|event| event.what) {
                Ok(What::Note { index, text }) => Some((index, text)),
                _ => None,
            })
        });
        Some(notes.take(NOTES).collect().await)
    };
    timeout(NOTES_LIMIT, read)
        .await
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// That the files were left as they are: who asked for the newest commit is told so first.
fn left_alone(t: Lang, notes: &[(u32, String)]) -> Option<Said> {
    let mut notes = notes.iter();
    let (_, note) = notes.find(|(_, note)| note.contains("was not brought up to date"))?;
    Some(t.daemon_says(note).begun())
}

fn is_deleted(job: &Job) -> bool {
    job.kind == JobKind::Delete && job.state == JobState::Done
}

/// The workspace, once the job has finished with it: before, there is nothing to use.
async fn workspace_of(daemon: &Client, job: &Job) -> Result<Option<Workspace>, Problem> {
    if !job.state.is_at_rest() || is_of_project(job) {
        return Ok(None);
    }
    match daemon.get(&job.email, Some(&job.project)).await {
        Ok(workspace) => Ok(Some(workspace)),
        Err(err) if err.kind == Kind::NotFound => Ok(None),
        Err(err) => Err(err.into()),
    }
}

/// Whether it is about a build or a stage, and not about a person's workspace.
pub fn is_of_project(job: &Job) -> bool {
    !job.email.contains('@')
}

/// The line below the heading: which step runs, or how long it all took.
fn status(t: Lang, job: &Job) -> String {
    if let Some(took) = took(job) {
        return t.ended_after(took);
    }
    if let Some(waiting) = &job.waiting {
        return t.waiting(waiting);
    }
    let mut steps = job.steps.iter().enumerate();
    steps
        .find(|(_, step)| matches!(step.state, StepState::Observed | StepState::Undoing))
        .map(|(i, step)| t.at_step(i + 1, job.steps.len(), &t.step_label(&step.label)))
        .unwrap_or_default()
}

/// How long a job took that has ended.
pub fn took(job: &Job) -> Option<Duration> {
    let ended_at = job.ended_at.filter(|_| job.state.is_ended())?;
    Some(ended_at.duration_since(job.created_at).unsigned_abs())
}

/// Whether this step is why the job failed.
pub fn is_to_blame(job: &Job, step: &Step) -> bool {
    let kind = job.failure.as_ref().and_then(|f| f.step_kind.as_deref());
    let label = job.failure.as_ref().and_then(|f| f.step_label.as_deref());
    kind == Some(step.kind.as_str()) && label.is_none_or(|label| label == step.label)
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage<'a> {
    t: Lang,
    frame: Frame,
    may_act: bool,
    may_cancel: bool,
    may_retry: bool,
    heading: &'static str,
    /// Where its project's delivery is, for a job that is about a build or a stage.
    delivery: Option<String>,
    status: String,
    job: &'a Job,
    workspace: Option<&'a Workspace>,
    clone_command: Option<String>,
    failure: Option<FailureView>,
    /// What its steps noted, with the place of each.
    notes: Vec<(u32, Said)>,
    /// Why its files were left as they are.
    left_alone: Option<Said>,
    /// It goes on, so the page follows it.
    live: bool,
    /// It was taken back, all of it.
    undone: bool,
    /// It was to change what visitors get, and was taken back.
    kept: bool,
    stuck: bool,
    /// Trying again may help.
    again: bool,
    /// What it made has been removed since.
    gone: bool,
    /// It removed its workspace.
    is_deleted: bool,
    /// And left the branch on the git server.
    branch_stays: bool,
}

struct FailureView {
    message: Said,
    step: Option<String>,
    /// The last lines of it, for those who may read the workspace's logs.
    output: Vec<String>,
    /// There is output of the step, which the daemon does not show to this visitor.
    has_output: bool,
    hint: Option<Said>,
}

impl FailureView {
    fn of(t: Lang, failure: &Failure) -> Self {
        Self {
            message: t.daemon_says(&failure.message).begun(),
            step: failure.step_label.clone(),
            output: failure.output.iter().map(|line| printable(line)).collect(),
            has_output: failure.output_withheld.is_some(),
            hint: failure
                .hint
                .as_deref()
                .map(|hint| t.daemon_says(hint).begun()),
        }
    }
}
