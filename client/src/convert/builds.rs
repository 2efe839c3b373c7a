//! Builds.

use super::{required, timestamp};
use crate::{Error, Result, model::build};
use cid_proto::v1 as pb;
use std::time::Duration;

impl TryFrom<pb::Build> for build::Build {
    type Error = Error;

    fn try_from(from: pb::Build) -> Result<Self> {
        let took = from.took.and_then(|took| Duration::try_from(took).ok());
        Ok(Self {
            state: from.state().into(),
            id: from.number,
            project: from.project,
            commit: from.commit,
            reference: from.r#ref,
            subject: from.subject,
            author: from.author,
            created_at: timestamp(required(from.created_at, "a build without a time")?)?,
            took_ms: took.and_then(|took| u64::try_from(took.as_millis()).ok()),
            stages: from.stages,
            eligible: from.eligible,
            job: from.job,
            digest: Some(from.digest).filter(|text| !text.is_empty()),
            verdict: Some(from.verdict).filter(|text| !text.is_empty()),
            tests: from.tests,
            failed: from.failed,
            skipped: from.skipped,
            failed_tests: from.failed_tests,
        })
    }
}
