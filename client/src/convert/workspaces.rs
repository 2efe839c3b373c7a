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
            used_at: from.used_at.map(timestamp).transpose()?,
            creator: given(from.creator),
            branch_gone_at: from.branch_gone_at.map(timestamp).transpose()?,
            memory: Some(from.memory).filter(|bytes| *bytes != 0),
            standing: None,
            failed_deployment: from.failed_deployment.map(TryInto::try_into).transpose()?,
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

impl TryFrom<pb::FailedDeployment> for workspace::FailedDeployment {
    type Error = Error;

    fn try_from(from: pb::FailedDeployment) -> Result<Self> {
        Ok(Self {
            job: from.job,
            at: timestamp(required(from.at, "a failed deployment without a time")?)?,
            build: Some(from.build).filter(|number| *number > 0),
            message: from.message,
        })
    }
}

impl From<pb::Standing> for workspace::Standing {
    fn from(from: pb::Standing) -> Self {
        Self {
            left_alone: given(from.left_alone),
            left_alone_at: from.left_alone_at.and_then(|at| timestamp(at).ok()),
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

impl From<pb::visit_response::Outcome> for workspace::Visited {
    fn from(from: pb::visit_response::Outcome) -> Self {
        use pb::visit_response::Outcome;
        match from {
            Outcome::Runs => Self::Runs,
            Outcome::Woken => Self::Woken,
            Outcome::Stopped => Self::Stopped,
            Outcome::Unspecified | Outcome::Silent => Self::Silent,
        }
    }
}
