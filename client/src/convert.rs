//! Generated types to plain ones. Unset strings become `None` where a value can
//! be absent; enumerators of a later version become `Unknown`.

mod builds;
mod people;
mod projects;
mod stages;
mod workspaces;

use crate::model::{audit, job, system, workspace};
use crate::{Conflict, Error, LostWork, Result, RunOutput};
use cid_proto::v1 as pb;
use jiff::Timestamp;
use std::time::Duration;

impl TryFrom<pb::CreateResponse> for workspace::Created {
    type Error = Error;

    fn try_from(from: pb::CreateResponse) -> Result<Self> {
        Ok(Self {
            workspace: required(from.workspace, "no workspace")?.try_into()?,
            job: from.job,
        })
    }
}

impl From<pb::LogPlace> for workspace::LogPlace {
    fn from(from: pb::LogPlace) -> Self {
        Self {
            file: from.file,
            offset: from.offset,
        }
    }
}

impl From<pb::LogsResponse> for workspace::LogLine {
    fn from(from: pb::LogsResponse) -> Self {
        Self {
            process: from.process,
            line: from.line,
            end: from.end.map(Into::into).unwrap_or_default(),
        }
    }
}

impl TryFrom<pb::RunResponse> for RunOutput {
    type Error = Error;

    fn try_from(from: pb::RunResponse) -> Result<Self> {
        use pb::run_response::Message;
        Ok(
            match required(from.message, "an empty message from the command")? {
                Message::Stdout(bytes) => Self::Stdout(bytes),
                Message::Stderr(bytes) => Self::Stderr(bytes),
                Message::ExitStatus(status) => Self::Exit(u8::try_from(status).unwrap_or(u8::MAX)),
            },
        )
    }
}

impl TryFrom<pb::Job> for job::Job {
    type Error = Error;

    fn try_from(from: pb::Job) -> Result<Self> {
        Ok(Self {
            kind: from.kind(),
            state: from.state().into(),
            id: from.id,
            email: from.email,
            project: from.project,
            name: from.name,
            steps: from.steps.into_iter().map(job::Step::from).collect(),
            failure: from.failure.map(job::Failure::from),
            created_at: timestamp(required(from.created_at, "a job without a time")?)?,
            ended_at: from.ended_at.map(timestamp).transpose()?,
            owed: from.owed,
            notes: from.notes,
            waiting: from.waiting.map(job::Waiting::from),
        })
    }
}

impl From<pb::Waiting> for job::Waiting {
    fn from(from: pb::Waiting) -> Self {
        Self {
            resource: from.resource().into(),
            of: given(from.of),
            ahead: from.ahead,
            work: given(from.work),
            email: given(from.email),
            minutes: from.minutes,
            text: from.text,
        }
    }
}

impl From<pb::Step> for job::Step {
    fn from(from: pb::Step) -> Self {
        Self {
            index: from.index,
            state: from.state().into(),
            kind: from.kind,
            label: from.label,
            took: from.took.map(duration),
            idle: from.idle,
            stays: from.stays,
        }
    }
}

impl From<pb::Failure> for job::Failure {
    fn from(from: pb::Failure) -> Self {
        Self {
            step_kind: given(from.step_kind),
            step_label: given(from.step_label),
            message: from.message,
            hint: given(from.hint),
            output: from.output,
            output_withheld: given(from.output_withheld),
        }
    }
}

impl TryFrom<pb::Event> for job::Event {
    type Error = Error;

    fn try_from(from: pb::Event) -> Result<Self> {
        use pb::event::What;
        let what = match from.what {
            Some(What::JobState(state)) => job::What::Job {
                state: pb::JobState::try_from(state).unwrap_or_default().into(),
                failed_step: from.failed_step,
            },
            Some(What::Step(step)) => job::What::Step {
                index: step.index,
                state: step.state().into(),
                label: step.label,
                took: step.took.map(duration),
                idle: step.idle,
            },
            Some(What::Output(output)) => job::What::Output {
                index: output.index,
                lines: output.lines,
            },
            Some(What::Note(note)) => job::What::Note {
                index: note.index,
                text: note.text,
            },
            Some(What::Waiting(event)) => job::What::Waiting {
                waiting: event.waiting.map(job::Waiting::from),
            },
            None => job::What::Unknown,
        };
        Ok(Self {
            job: from.job,
            seq: from.seq,
            at: timestamp(required(from.at, "an event without a time")?)?,
            what,
        })
    }
}

impl TryFrom<pb::WatchJobResponse> for job::Event {
    type Error = Error;

    fn try_from(from: pb::WatchJobResponse) -> Result<Self> {
        required(from.event, "an empty event")?.try_into()
    }
}

impl From<pb::VersionResponse> for system::Version {
    fn from(from: pb::VersionResponse) -> Self {
        Self {
            version: from.version,
            mode: from.mode,
            front_url: given(from.front_url),
        }
    }
}

impl From<pb::Unused> for system::Unused {
    fn from(from: pb::Unused) -> Self {
        Self {
            sort: from.sort,
            project: Some(from.project).filter(|name| !name.is_empty()),
            path: from.path,
            bytes: from.bytes,
            kept: Some(from.kept).filter(|why| !why.is_empty()),
        }
    }
}

impl From<pb::Finding> for system::Finding {
    fn from(from: pb::Finding) -> Self {
        Self {
            kind: from.kind().into(),
            subject: from.subject,
            message: from.message,
            repair: given(from.repair),
            repaired: from.repaired,
        }
    }
}

impl TryFrom<pb::AuditLine> for audit::AuditLine {
    type Error = Error;

    fn try_from(from: pb::AuditLine) -> Result<Self> {
        Ok(Self {
            decision: from.decision().into(),
            at: timestamp(required(from.at, "a line without a time")?)?,
            uid: from.uid,
            account: given(from.account),
            pid: Some(from.pid).filter(|pid| *pid != 0),
            door: from.door,
            rpc: from.rpc,
            action: given(from.action),
            email: given(from.email),
            project: given(from.project),
            workspace: given(from.workspace),
            job: given(from.job),
            reason: given(from.reason),
            outcome: from.outcome,
            program: given(from.program),
            build: Some(from.build).filter(|number| *number != 0),
        })
    }
}

impl From<pb::ConflictDetail> for Conflict {
    fn from(from: pb::ConflictDetail) -> Self {
        Self {
            job: given(from.job),
            url: given(from.url),
            work: from.work.into_iter().map(LostWork::from).collect(),
            unseen: from.unseen,
            more_unseen: from.more_unseen,
            files: from.files.unwrap_or_default().into(),
        }
    }
}

impl From<pb::LostWork> for LostWork {
    fn from(from: pb::LostWork) -> Self {
        Self {
            repository: from.repository,
            uncommitted: from.uncommitted,
            more_uncommitted: from.more_uncommitted,
            unpushed: from.unpushed,
            more_unpushed: from.more_unpushed,
            remarks: from.remarks,
        }
    }
}

impl From<pb::LeftFiles> for workspace::LeftFiles {
    fn from(from: pb::LeftFiles) -> Self {
        let file = |file: pb::LeftFile| workspace::LeftFile {
            path: file.path,
            bytes: file.bytes,
        };
        Self {
            biggest: from.biggest.into_iter().map(file).collect(),
            more: from.more,
            files: from.files,
            bytes: from.bytes,
            is_partial: from.is_partial,
            forgotten: from.forgotten,
            more_forgotten: from.more_forgotten,
        }
    }
}

/// A member without which an answer makes no sense.
pub(crate) fn required<T>(member: Option<T>, what: &str) -> Result<T> {
    member.ok_or_else(|| Error::unreadable(what))
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

pub(crate) fn instant(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

fn timestamp(from: prost_types::Timestamp) -> Result<Timestamp> {
    Timestamp::new(from.seconds, from.nanos)
        .map_err(|error| Error::unreadable(&format!("a time that cannot be: {error}")))
}

fn duration(from: prost_types::Duration) -> Duration {
    // A clock that was set back can make one negative; nobody needs to see that.
    Duration::try_from(from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Job, JobState, Kind, What, Workspace, WorkspaceState};

    fn some_time() -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 5,
        })
    }

    #[test]
    fn what_is_unset_is_absent() {
        let workspace = Workspace::try_from(pb::Workspace {
            state: pb::WorkspaceState::Creating.into(),
            created_at: some_time(),
            ..Default::default()
        })
        .unwrap();
        assert_eq!(workspace.state, WorkspaceState::Creating);
        assert_eq!(workspace.url, None);
        assert_eq!(workspace.port, None);
        assert_eq!(workspace.commit, None);
        assert_eq!(workspace.created_at.subsec_nanosecond(), 5);
    }

    #[test]
    fn an_enumerator_of_a_later_version_is_unknown() {
        let job = Job::try_from(pb::Job {
            state: 99,
            created_at: some_time(),
            ..Default::default()
        })
        .unwrap();
        assert_eq!(job.state, JobState::Unknown);
        assert!(!job.state.is_at_rest());
    }

    #[test]
    fn every_enumerator_of_messages_has_a_name_here() {
        macro_rules! check {
            ($($ours:ty = $message:ty;)+) => {$(
                for value in 1.. {
                    let Ok(message) = <$message>::try_from(value) else { break };
                    let name = format!("{message:?}");
                    // Health that nobody can tell is sent as such.
                    let is_unknown = <$ours>::from(message) == <$ours>::Unknown;
                    assert_eq!(is_unknown, name == "Unknown", "{name}");
                }
                assert_eq!(<$ours>::from(<$message>::default()), <$ours>::Unknown);
            )+};
        }
        check! {
            JobState = pb::JobState;
            job::StepState = pb::StepState;
            job::WaitingFor = pb::WaitingFor;
            WorkspaceState = pb::WorkspaceState;
            workspace::ProcessState = pb::ProcessState;
            workspace::Health = pb::Health;
            crate::model::build::BuildState = pb::BuildState;
            crate::model::project::Severity = pb::Severity;
            audit::Decision = pb::Decision;
            system::FindingKind = pb::FindingKind;
        }
    }

    #[test]
    fn an_answer_without_its_time_cannot_be_read() {
        let error = Workspace::try_from(pb::Workspace::default()).unwrap_err();
        assert_eq!(error.kind, Kind::Internal);
        let impossible = prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert!(timestamp(impossible).is_err());
    }

    #[test]
    fn events_are_flat_in_json() {
        let event = Event::try_from(pb::Event {
            job: "01".into(),
            seq: 3,
            at: some_time(),
            failed_step: None,
            what: Some(pb::event::What::Step(pb::StepEvent {
                index: 1,
                state: pb::StepState::Applied.into(),
                label: "clone".into(),
                took: Some(prost_types::Duration {
                    seconds: 1,
                    nanos: 500_000_000,
                }),
                idle: false,
            })),
        })
        .unwrap();
        assert!(matches!(event.what, What::Step { index: 1, .. }));
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            serde_json::json!({
                "job": "01", "seq": 3, "at": "2023-11-14T22:13:20.000000005Z",
                "what": "step", "index": 1, "state": "applied", "label": "clone",
                "took_seconds": 1.5, "idle": false,
            })
        );
    }
}
