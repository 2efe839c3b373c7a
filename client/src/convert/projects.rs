//! Projects, and what followed from their remotes.

use super::{given, required, timestamp};
use crate::{Error, Result, model::project};
use cid_proto::v1 as pb;

impl From<pb::Project> for project::Project {
    fn from(from: pb::Project) -> Self {
        Self {
            name: from.name,
            domain: from.domain,
            git_url: from.git_url,
            base_branch: from.base_branch,
            work_dir: from.work_dir,
            deploy_user: from.deploy_user,
            file: from.file,
            error: given(from.error),
            workspaces: from.workspaces,
            test: from.test,
            // A time that makes no sense counts as none.
            remote_silent_since: from.remote_silent_since.and_then(|at| timestamp(at).ok()),
            remote_error: given(from.remote_error),
        }
    }
}

impl From<pb::RemoveProjectResponse> for project::RemovedProject {
    fn from(from: pb::RemoveProjectResponse) -> Self {
        Self {
            file: given(from.file),
            removed: from.removed,
            kept: from.kept,
        }
    }
}

impl From<pb::FollowUp> for project::FollowUp {
    fn from(from: pb::FollowUp) -> Self {
        Self {
            branch: from.branch,
            commit: given(from.commit),
            message: from.message,
            job: given(from.job),
        }
    }
}

impl TryFrom<pb::HookDelivery> for project::HookDelivery {
    type Error = Error;

    fn try_from(from: pb::HookDelivery) -> Result<Self> {
        Ok(Self {
            at: timestamp(required(from.at, "a webhook without a time")?)?,
            scheme: given(from.scheme),
            event: given(from.event),
            id: given(from.id),
            accepted: from.accepted,
            outcome: given(from.outcome),
        })
    }
}

impl From<pb::CheckItem> for project::CheckItem {
    fn from(from: pb::CheckItem) -> Self {
        Self {
            severity: from.severity().into(),
            subject: from.subject,
            message: from.message,
            hint: given(from.hint),
        }
    }
}
