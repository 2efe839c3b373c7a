//! Workspaces, their health and their processes.

use super::{given, required, timestamp};
use crate::{Error, Result, model::workspace};
use cid_proto::v1 as pb;

impl TryFrom<pb::Workspace> for workspace::Workspace {
    type Error = Error;

    fn try_from(from: pb::Workspace) -> Result<Self> {
        Ok(Self {
            state: from.state().into(),
            health: from.health().into(),
            email: from.email,
            project: from.project,
            name: from.name,
            url: given(from.url),
            port: u16::try_from(from.port).ok().filter(|port| *port != 0),
            directory: from.directory,
            branch: from.branch,
            commit: given(from.commit),
            created_at: timestamp(required(from.created_at, "a workspace without a time")?)?,
            job: given(from.job),
            creator: given(from.creator),
            branch_gone_at: from.branch_gone_at.map(timestamp).transpose()?,
            memory: Some(from.memory).filter(|bytes| *bytes != 0),
            standing: None,
            health_message: given(from.health_message),
            health_since: from.health_since.map(timestamp).transpose()?,
            processes: from
                .processes
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_>>()?,
        })
    }
}

impl From<pb::Standing> for workspace::Standing {
    fn from(from: pb::Standing) -> Self {
        Self {
            head: given(from.head),
            branch: given(from.branch),
            ahead: from.ahead,
            behind: from.behind,
            stale: from.stale,
            subject: given(from.subject),
            uncommitted: from.uncommitted,
        }
    }
}

impl TryFrom<pb::Process> for workspace::Process {
    type Error = Error;

    fn try_from(from: pb::Process) -> Result<Self> {
        Ok(Self {
            state: from.state().into(),
            name: from.name,
            since: from.since.map(timestamp).transpose()?,
            restarts: from.restarts,
            memory: Some(from.memory).filter(|bytes| *bytes != 0),
            last_end: given(from.last_end),
            last_ended_at: from.last_ended_at.map(timestamp).transpose()?,
            last_lines: Vec::new(),
        })
    }
}

impl From<pb::ProcessState> for workspace::ProcessState {
    fn from(from: pb::ProcessState) -> Self {
        match from {
            pb::ProcessState::Unspecified => Self::Unknown,
            pb::ProcessState::Stopped => Self::Stopped,
            pb::ProcessState::Starting => Self::Starting,
            pb::ProcessState::Running => Self::Running,
            pb::ProcessState::Crashing => Self::Crashing,
        }
    }
}

impl From<pb::WorkspaceState> for workspace::WorkspaceState {
    fn from(from: pb::WorkspaceState) -> Self {
        match from {
            pb::WorkspaceState::Unspecified => Self::Unknown,
            pb::WorkspaceState::Creating => Self::Creating,
            pb::WorkspaceState::Ready => Self::Ready,
            pb::WorkspaceState::Failed => Self::Failed,
            pb::WorkspaceState::Deleting => Self::Deleting,
        }
    }
}

impl From<pb::Health> for workspace::Health {
    fn from(from: pb::Health) -> Self {
        match from {
            pb::Health::Unspecified | pb::Health::Unknown => Self::Unknown,
            pb::Health::Up => Self::Up,
            pb::Health::Starting => Self::Starting,
            pb::Health::Failing => Self::Failing,
            pb::Health::Crashing => Self::Crashing,
            pb::Health::Down => Self::Down,
        }
    }
}
