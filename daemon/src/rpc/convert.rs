//! Domain values as messages.

use crate::{
    config::Projects,
    domain::{
        Creator, JobKind, JobState, Workspace, WorkspaceState,
        event::{Event, StepState, What},
    },
    engine::Plan,
    health::{Condition, Health, is_crashing},
    layout::Layout,
    operation::{
        FailedDeployment, Shown, ShownJob, Standing, gap,
        project::{Item, Severity, ShownProject},
    },
    system::{
        queue::{Resource, Waiting},
        supervisor::{Process, ProcessState},
    },
};
use cid_kernel::accounts;
use cid_proto::v1;
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

pub(super) fn timestamp(at: jiff::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

/// gRPC's own name of a code.
pub(super) fn code(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

pub(super) fn duration(millis: u64) -> Option<prost_types::Duration> {
    Duration::from_millis(millis).try_into().ok()
}

/// User names by user id, each looked up once.
#[derive(Default)]
pub(super) struct Users(HashMap<u32, String>);

impl Users {
    /// The account's name, or its number if the account no longer exists. An address is returned unchanged.
    pub(super) fn name(&mut self, creator: &Creator) -> String {
        let uid = match creator {
            Creator::User(uid) => *uid,
            Creator::Address(email) => return email.to_string(),
            Creator::Trigger => return creator.to_string(),
        };
        let look_up = || match accounts::user_name(uid) {
            Ok(Some(name)) => name,
            _ => uid.to_string(),
        };
        self.0.entry(uid).or_insert_with(look_up).clone()
    }
}

pub(super) fn state(workspace: &Workspace) -> v1::WorkspaceState {
    match workspace.state {
        WorkspaceState::Creating => v1::WorkspaceState::Creating,
        WorkspaceState::Ready => v1::WorkspaceState::Ready,
        WorkspaceState::Failed => v1::WorkspaceState::Failed,
        WorkspaceState::Deleting => v1::WorkspaceState::Deleting,
        WorkspaceState::Stopped => v1::WorkspaceState::Stopped,
        WorkspaceState::Asleep => v1::WorkspaceState::Asleep,
    }
}

pub(super) fn workspace(workspace: &Workspace, health: Health, users: &mut Users) -> v1::Workspace {
    v1::Workspace {
        email: workspace.owner.to_string(),
        project: workspace.project.to_string(),
        name: workspace.name.to_string(),
        state: state(workspace).into(),
        health: condition(health.condition).into(),
        health_message: health.message,
        health_since: health.since.map(timestamp),
        processes: Vec::new(),
        url: workspace.url.clone(),
        port: workspace.port.unwrap_or_default().into(),
        directory: workspace.directory.to_string_lossy().into_owned(),
        branch: workspace.branch.clone(),
        commit: workspace.commit.clone().unwrap_or_default(),
        created_at: Some(timestamp(workspace.created_at)),
        job: workspace.job.to_string(),
        creator: users.name(&workspace.creator),
        branch_gone_at: workspace.branch_gone_at.map(timestamp),
        memory: 0,
        used_at: None,
        failed_deployment: None,
    }
}

pub(super) fn failed(failed: FailedDeployment) -> v1::FailedDeployment {
    v1::FailedDeployment {
        job: failed.job.to_string(),
        at: Some(timestamp(failed.at)),
        build: failed.build.unwrap_or_default(),
        message: failed.message,
    }
}

pub(super) fn shown(shown: Shown) -> v1::GetResponse {
    let Shown {
        workspace: row,
        seen,
        memory,
        standing: clone,
        failed: failed_deployment,
    } = shown;
    let mut message = workspace(&row, seen.health, &mut Users::default());
    message.failed_deployment = failed_deployment.map(failed);
    message.memory = memory.iter().sum();
    let processes = seen.processes.iter().zip(memory);
    message.processes = processes
        .map(|(one, memory)| process(one, memory))
        .collect();
    v1::GetResponse {
        workspace: Some(message),
        standing: clone.map(standing),
    }
}

fn standing(standing: Standing) -> v1::Standing {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (ahead, behind) = standing.ahead_behind.unzip();
    let (left_alone, left_alone_at) = standing.left_alone.unzip();
    v1::Standing {
        left_alone: left_alone.unwrap_or_default(),
        left_alone_at: left_alone_at.map(timestamp),
        head: standing.head,
        branch: standing.branch,
        ahead: ahead.map(count),
        behind: behind.map(count),
        stale: standing.stale,
        subject: standing.subject,
        uncommitted: standing.uncommitted.map(count),
    }
}

pub(super) fn condition(condition: Condition) -> v1::Health {
    match condition {
        Condition::Unknown => v1::Health::Unknown,
        Condition::Up => v1::Health::Up,
        Condition::Starting => v1::Health::Starting,
        Condition::Failing => v1::Health::Failing,
        Condition::Crashing => v1::Health::Crashing,
        Condition::Down => v1::Health::Down,
    }
}

/// A process, and its memory.
fn process(process: &Process, memory: u64) -> v1::Process {
    let state = match process.state {
        _ if is_crashing(process, jiff::Timestamp::now()) => v1::ProcessState::Crashing,
        ProcessState::Starting => v1::ProcessState::Starting,
        ProcessState::Running => v1::ProcessState::Running,
        _ => v1::ProcessState::Stopped,
    };
    let ended = process.ended.as_ref();
    v1::Process {
        name: process.name.clone(),
        state: state.into(),
        since: process.since.map(timestamp),
        restarts: process.restarts,
        memory,
        last_end: ended.map(|ended| ended.how.to_string()).unwrap_or_default(),
        last_ended_at: ended.and_then(|ended| ended.at).map(timestamp),
    }
}

pub(super) fn job_state(state: JobState) -> v1::JobState {
    match state {
        JobState::Queued => v1::JobState::Queued,
        JobState::Running => v1::JobState::Running,
        JobState::Undoing => v1::JobState::Undoing,
        JobState::Done => v1::JobState::Done,
        JobState::Undone => v1::JobState::Undone,
        JobState::Stuck => v1::JobState::Stuck,
        JobState::Cancelled => v1::JobState::Cancelled,
    }
}

fn step_state(state: StepState) -> v1::StepState {
    match state {
        StepState::Planned => v1::StepState::Planned,
        StepState::Observed => v1::StepState::Observed,
        StepState::Applied => v1::StepState::Applied,
        StepState::Undoing => v1::StepState::Undoing,
        StepState::Undone => v1::StepState::Undone,
        StepState::Stuck => v1::StepState::Stuck,
    }
}

/// A job with its steps as of its journal; `progress` is `None` in lists.
pub(super) fn job(shown: &ShownJob) -> v1::Job {
    let ShownJob { row, progress, .. } = shown;
    let plan: Option<Plan> = serde_json::from_value(row.plan.clone()).ok();
    let planned = plan.map(|plan| plan.steps).unwrap_or_default();
    let steps = progress.as_ref().map(|progress| {
        let step = |(index, step): (usize, &crate::engine::Planned)| v1::Step {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            kind: step.kind.clone(),
            label: step.label.clone(),
            state: step_state(progress.steps[index]).into(),
            took: progress.took_ms[index].and_then(duration),
            idle: progress.idle[index],
            stays: progress.steps[index] == StepState::Undone && shown.stays == Some(index),
        };
        planned.iter().enumerate().map(step).collect()
    });
    v1::Job {
        id: row.id.to_string(),
        kind: job_kind(row.kind).into(),
        state: job_state(row.state).into(),
        email: row
            .about
            .owner()
            .map(ToString::to_string)
            .unwrap_or_default(),
        project: row.project.to_string(),
        name: row.about.name(),
        steps: steps.unwrap_or_default(),
        failure: failure(shown, &planned),
        created_at: Some(timestamp(row.created_at)),
        ended_at: row.ended_at.map(timestamp),
        owed: shown.owed.clone(),
        waiting: shown.waiting.as_ref().map(waiting),
        notes: shown.notes.clone(),
    }
}

/// The message's kind of the same name.
fn job_kind(kind: JobKind) -> v1::JobKind {
    let name = kind.as_str().to_uppercase().replace('-', "_");
    v1::JobKind::from_str_name(&format!("JOB_KIND_{name}")).unwrap_or_default()
}

/// What a job waits for.
pub(super) fn waiting(waiting: &Waiting) -> v1::Waiting {
    let (resource, of) = match &waiting.resource {
        Resource::Core => (v1::WaitingFor::Turn, ""),
        Resource::Mirror(project) => (v1::WaitingFor::Mirror, project.as_str()),
        Resource::Builds(project) | Resource::Build(project) => {
            (v1::WaitingFor::Build, project.as_str())
        }
        Resource::Database(project) => (v1::WaitingFor::Database, project.as_str()),
        Resource::Tools => (v1::WaitingFor::Uv, ""),
        Resource::GitServer(server) => (v1::WaitingFor::GitServer, server.as_str()),
    };
    let first = waiting.first.as_ref();
    let owner = first.and_then(|first| first.owner.as_ref());
    v1::Waiting {
        resource: resource.into(),
        of: of.to_owned(),
        ahead: u32::try_from(waiting.ahead).unwrap_or(u32::MAX),
        work: first.map(|first| first.work.clone()).unwrap_or_default(),
        email: owner.map(ToString::to_string).unwrap_or_default(),
        minutes: first.map_or(0, |first| first.minutes),
        text: waiting.to_string(),
    }
}

/// Tells the watchers of a job what it waits for; `None` if it continues.
pub(super) fn waiting_event(job: Uuid, seq: u64, waits_for: Option<&Waiting>) -> v1::Event {
    v1::Event {
        job: job.to_string(),
        seq,
        at: Some(timestamp(jiff::Timestamp::now())),
        what: Some(v1::event::What::Waiting(v1::WaitingEvent {
            waiting: waits_for.map(waiting),
        })),
        failed_step: None,
    }
}

fn failure(shown: &ShownJob, planned: &[crate::engine::Planned]) -> Option<v1::Failure> {
    let (row, stuck) = (&shown.row, shown.stuck.as_deref());
    let stuck_hint = || format!("mend what is in the way, then: cictl jobs retry {}", row.id);
    let Some(failure) = &row.failure else {
        return stuck.map(|message| v1::Failure {
            message: message.to_owned(),
            hint: stuck_hint(),
            ..v1::Failure::default()
        });
    };
    let step = failure.step.and_then(|index| planned.get(index));
    let message = match stuck {
        Some(stuck) => format!("{}; and it cannot be taken back: {stuck}", failure.message),
        None => failure.message.clone(),
    };
    Some(v1::Failure {
        step_kind: step.map(|step| step.kind.clone()).unwrap_or_default(),
        step_label: step.map(|step| step.label.clone()).unwrap_or_default(),
        message,
        hint: if stuck.is_some() {
            stuck_hint()
        } else {
            failure.hint.clone().unwrap_or_default()
        },
        output: failure.output.clone(),
        output_withheld: shown.withheld.clone(),
    })
}

/// A journal line for watchers; `None` for lines that mean nothing to them.
pub(super) fn event(event: Event, plan: &Plan) -> v1::Event {
    use v1::event::What as Out;
    let index = |step: usize| u32::try_from(step).unwrap_or(u32::MAX);
    let step = |at: usize, state: v1::StepState, took_ms: Option<u64>, idle: bool| {
        let label = plan
            .steps
            .get(at)
            .map(|step| step.label.clone())
            .unwrap_or_default();
        Out::Step(v1::StepEvent {
            index: index(at),
            state: state.into(),
            label,
            took: took_ms.and_then(duration),
            idle,
        })
    };
    let failed_step = match &event.what {
        What::Failed { failure } => failure.step.map(index),
        _ => None,
    };
    let what = match event.what {
        What::Job { state } => Out::JobState(job_state(state).into()),
        What::Observed { step: at, .. } => step(at, v1::StepState::Observed, None, false),
        What::Applied {
            step: at,
            took_ms,
            idle,
            ..
        } => step(at, v1::StepState::Applied, Some(took_ms), idle),
        What::Undoing { step: at } => step(at, v1::StepState::Undoing, None, false),
        What::Undone { step: at, took_ms } => step(at, v1::StepState::Undone, Some(took_ms), false),
        What::Stuck { step: at, .. } => step(at, v1::StepState::Stuck, None, false),
        What::Failed { .. } => Out::JobState(v1::JobState::Undoing.into()),
        What::Retried => Out::JobState(v1::JobState::Running.into()),
        What::Output { step, lines } => Out::Output(v1::OutputEvent {
            index: index(step),
            lines,
        }),
        What::LeftOut { step, lines } => Out::Output(v1::OutputEvent {
            index: index(step),
            lines: vec![gap(lines)],
        }),
        What::Note { step, text } | What::Kept { step, text } => Out::Note(v1::NoteEvent {
            index: index(step),
            text,
        }),
    };
    v1::Event {
        job: event.job.to_string(),
        seq: event.seq,
        at: Some(timestamp(event.at)),
        what: Some(what),
        failed_step,
    }
}

pub(super) fn project(shown: ShownProject, layout: &Layout) -> v1::Project {
    let silent = shown.silent;
    let Some(project) = shown.project else {
        return v1::Project {
            name: shown.name,
            error: shown.error,
            workspaces: shown.workspaces,
            remote_silent_since: silent.as_ref().map(|silent| timestamp(silent.since)),
            remote_error: silent.map(|silent| silent.reason).unwrap_or_default(),
            ..v1::Project::default()
        };
    };
    v1::Project {
        name: project.name.to_string(),
        domain: project.domain.to_string(),
        git_url: project.git.url.to_string(),
        base_branch: project.git.base.to_string(),
        work_dir: Projects::work_dir(&project, &layout.work_root)
            .to_string_lossy()
            .into_owned(),
        deploy_user: project.deploy_user.clone().unwrap_or_default(),
        file: project.file.to_string_lossy().into_owned(),
        error: shown.error,
        workspaces: shown.workspaces,
        remote_silent_since: silent.as_ref().map(|silent| timestamp(silent.since)),
        remote_error: silent.map(|silent| silent.reason).unwrap_or_default(),
        test: project
            .app
            .test
            .iter()
            .flatten()
            .map(|command| command.words().join(" "))
            .collect(),
    }
}

pub(super) fn item(item: Item) -> v1::CheckItem {
    let severity = match item.severity {
        Severity::Ok => v1::Severity::Ok,
        Severity::Warning => v1::Severity::Warning,
        Severity::Error => v1::Severity::Error,
    };
    v1::CheckItem {
        severity: severity.into(),
        subject: item.subject,
        message: item.message,
        hint: item.hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_job_has_one_on_the_wire() {
        for kind in JobKind::ALL {
            assert_ne!(job_kind(*kind), v1::JobKind::Unspecified, "{kind}");
        }
    }
}
