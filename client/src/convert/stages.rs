//! Stages.

use super::timestamp;
use crate::{Error, Result, model::stage::Stage};
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
            name: from.name,
            project: from.project,
            url: from.url,
        })
    }
}
