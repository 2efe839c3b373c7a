//! Stages.

use super::timestamp;
use crate::{
    Error, Result,
    model::stage::{ChangedCommit, Preview, Stage},
};
use cid_proto::v1 as pb;

impl TryFrom<pb::Stage> for Stage {
    type Error = Error;

    fn try_from(from: pb::Stage) -> Result<Self> {
        let number = |number: u32| Some(number).filter(|number| *number > 0);
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            state: match from.state() {
                pb::WorkspaceState::Unspecified => None,
                state => Some(state.into()),
            },
            health: from.health().into(),
            health_message: text(from.health_message),
            build: number(from.build),
            commit: text(from.commit),
            previous: number(from.previous),
            promotable: number(from.promotable),
            deployed_at: from.deployed_at.map(timestamp).transpose()?,
            by: text(from.by),
            job: text(from.job),
            held: text(from.held),
            failed_deployment: from.failed_deployment.map(TryInto::try_into).transpose()?,
            name: from.name,
            project: from.project,
            url: from.url,
        })
    }
}

impl From<pb::PreviewResponse> for Preview {
    fn from(from: pb::PreviewResponse) -> Self {
        let commits = |commits: Vec<pb::ChangedCommit>| {
            let commit = |from: pb::ChangedCommit| ChangedCommit {
                commit: from.commit,
                subject: from.subject,
                author: from.author,
            };
            commits.into_iter().map(commit).collect()
        };
        Self {
            build: from.build,
            running: Some(from.running).filter(|number| *number > 0),
            added: commits(from.added),
            more_added: from.more_added,
            removed: commits(from.removed),
            more_removed: from.more_removed,
            notes: from.notes,
            releases: from.releases,
            backs_up: from.backs_up,
        }
    }
}
