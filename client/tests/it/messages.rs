//! What the made-up daemon answers with.

use crate::daemon::{URL, pb_time};
use cid_proto::v1::{self as pb, event::What};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(super) fn workspace(created_at: Option<pb_time::Time>) -> pb::Workspace {
    pb::Workspace {
        email: "anna@example.com".into(),
        project: "pressa".into(),
        name: "anna---example-com".into(),
        state: pb::WorkspaceState::Ready.into(),
        health: pb::Health::Up.into(),
        url: URL.into(),
        port: 20_001,
        directory: "/srv/cid/pressa/anna---example-com".into(),
        branch: "anna---example-com".into(),
        commit: String::new(),
        created_at: Some(created_at.unwrap_or_default()),
        job: "good".into(),
        creator: "anna".into(),
        ..pb::Workspace::default()
    }
}

/// The job `good` ends done, `bad` undone, `stuck` stuck; `retried` was stuck once.
pub(super) fn job(id: &str) -> pb::Job {
    let state = match id {
        "good" | "retried" => pb::JobState::Done,
        "stuck" => pb::JobState::Stuck,
        _ => pb::JobState::Undone,
    };
    pb::Job {
        id: id.into(),
        kind: pb::JobKind::Create.into(),
        state: state.into(),
        email: "anna@example.com".into(),
        project: "pressa".into(),
        name: "anna---example-com".into(),
        steps: vec![],
        failure: (state == pb::JobState::Undone).then(|| pb::Failure {
            step_kind: "install.v1".into(),
            step_label: "install dependencies".into(),
            message: "cannot install dependencies: exit status 1".into(),
            hint: "look at requirements.txt".into(),
            output: vec!["\x1b[31mno such package\x1b[0m".into()],
            output_withheld: String::new(),
        }),
        created_at: Some(pb_time::Time::default()),
        ended_at: Some(pb_time::Time {
            seconds: 3,
            nanos: 0,
        }),
        owed: vec![],
        notes: vec![],
        waiting: None,
    }
}

pub(super) fn journal(id: &str) -> Vec<pb::Event> {
    use pb::{JobState as J, StepState as S};
    let job = |state: J| What::JobState(state.into());
    let step = |state: S, took: Option<i32>| {
        What::Step(pb::StepEvent {
            index: 0,
            state: state.into(),
            label: "clone the repository".into(),
            took: took.map(|nanos| prost_types::Duration { seconds: 0, nanos }),
            idle: false,
        })
    };
    let mut whats = vec![
        job(J::Queued),
        job(J::Running),
        step(S::Observed, None),
        step(S::Applied, Some(120_000_000)),
    ];
    whats.extend(match id {
        "good" => vec![job(J::Done)],
        "stuck" => vec![job(J::Stuck)],
        "retried" => vec![job(J::Stuck), job(J::Running), job(J::Done)],
        _ => vec![job(J::Undoing), job(J::Undone)],
    });
    (1..)
        .zip(whats)
        .map(|(seq, what)| pb::Event {
            job: id.into(),
            seq,
            at: Some(pb_time::Time::default()),
            what: Some(what),
            failed_step: None,
        })
        .collect()
}

pub(super) fn conflict(code: Code, message: &str, detail: &pb::ConflictDetail) -> Status {
    let hint = [("hint".to_owned(), "try another way".to_owned())];
    let info = ErrorDetails::with_error_info("IN_THE_WAY", "cid", hint);
    let status = Status::with_error_details(code, message, info);
    let mut details = tonic_types::Status::decode(status.details()).unwrap();
    details.details.push(prost_types::Any {
        type_url: "type.googleapis.com/cid.v1.ConflictDetail".into(),
        value: detail.encode_to_vec(),
    });
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// Refuses the addresses that stand for a refusal.
pub(super) fn refuse(workspace: Option<pb::WorkspaceRef>) -> Result<String, Status> {
    let email = workspace.unwrap_or_default().email;
    match email.as_str() {
        "nonsense" => Err(Status::with_error_details(
            Code::InvalidArgument,
            "cannot read \"nonsense\" as an e-mail address: there is no @",
            ErrorDetails::with_bad_request_violation("workspace.email", "there is no @"),
        )),
        "nobody@example.com" => Err(Status::not_found(
            "cannot find a workspace of nobody@example.com",
        )),
        "mallory@example.com" => Err(Status::permission_denied("cannot let you")),
        "crash@example.com" => Err(Status::internal("cannot go on")),
        _ => Ok(email),
    }
}
