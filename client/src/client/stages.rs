//! Requests about stages.

use super::Client;
use crate::{Preview, Result, Stage};
use cid_proto::v1 as pb;

/// A deployment that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploying {
    /// The job.
    pub job: String,
    /// The build.
    pub build: u32,
    /// What the person must know.
    pub notes: Vec<String>,
}

/// Here and below `project` may be left out where there is one only.
impl Client {
    /// The stages of a project, or of all.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is no such project.
    pub async fn stages(&self, project: Option<&str>) -> Result<Vec<Stage>> {
        let request = pb::ListStagesRequest {
            project: project.unwrap_or_default().to_owned(),
        };
        let answer = self.answer(self.stages_service().list(request)).await?;
        answer.stages.into_iter().map(TryInto::try_into).collect()
    }

    /// Starts the job that has a build run in a stage: that one, or the newest that may. `older`: also one that
    /// is older than what runs.
    ///
    /// # Errors
    ///
    /// [`Kind::Conflict`](crate::Kind::Conflict) when the build may not, or a job is in the way;
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is no such stage or build.
    pub async fn promote(
        &self,
        project: Option<&str>,
        stage: &str,
        build: Option<u32>,
        older: bool,
    ) -> Result<Deploying> {
        let request = pb::PromoteRequest {
            stage: reference(project, stage),
            build: build.unwrap_or_default(),
            older,
        };
        let answer = self.answer(self.stages_service().promote(request)).await?;
        Ok(Deploying {
            job: answer.job,
            build: answer.build,
            notes: Vec::new(),
        })
    }

    /// What a promotion (or, with `back`, a rollback) would change; see there for `build` and `older`.
    ///
    /// # Errors
    ///
    /// As what is asked about.
    pub async fn preview(
        &self,
        project: Option<&str>,
        stage: &str,
        build: Option<u32>,
        back: bool,
        older: bool,
    ) -> Result<Preview> {
        let request = pb::PreviewRequest {
            stage: reference(project, stage),
            build: build.unwrap_or_default(),
            back,
            older,
        };
        let answer = self.answer(self.stages_service().preview(request)).await?;
        Ok(answer.into())
    }

    /// Starts the job that has a build run in a stage again: that one, or the one before.
    ///
    /// # Errors
    ///
    /// As [`Client::promote`].
    pub async fn roll_back(
        &self,
        project: Option<&str>,
        stage: &str,
        build: Option<u32>,
    ) -> Result<Deploying> {
        let request = pb::RollBackRequest {
            stage: reference(project, stage),
            build: build.unwrap_or_default(),
        };
        let answer = self
            .answer(self.stages_service().roll_back(request))
            .await?;
        Ok(Deploying {
            job: answer.job,
            build: answer.build,
            notes: answer.notes,
        })
    }
}

fn reference(project: Option<&str>, name: &str) -> Option<pb::StageRef> {
    Some(pb::StageRef {
        project: project.unwrap_or_default().to_owned(),
        name: name.to_owned(),
    })
}
