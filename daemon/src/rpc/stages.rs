//! Service `Stages`.

use super::{
    concerns_build,
    convert::{Users, condition, failed, state, timestamp},
    take_claim,
};
use crate::{
    cid::Cid,
    domain::Creator,
    operation::{self, ShownStage},
};
use cid_proto::v1::{self, stages_server::Stages};
use cid_protocol::request::FoundCommit;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Stages for Cid {
    async fn list(
        &self,
        request: Request<v1::ListStagesRequest>,
    ) -> Result<Response<v1::ListStagesResponse>, Status> {
        let stages = operation::stages(self, &request.get_ref().project).await?;
        let mut users = Users::default();
        let stages = stages.into_iter();
        let stages = stages.map(|stage| message(stage, &mut users)).collect();
        Ok(Response::new(v1::ListStagesResponse { stages }))
    }

    async fn promote(
        &self,
        request: Request<v1::PromoteRequest>,
    ) -> Result<Response<v1::PromoteResponse>, Status> {
        concerns_build(&request, request.get_ref().build);
        let claim = take_claim(&request)?;
        let request = request.into_inner();
        let stage = request.stage.unwrap_or_default();
        let number = Some(request.build).filter(|number| *number > 0);
        let (project, name) = (&stage.project, &stage.name);
        let begun = operation::promote(self, claim, project, name, number, request.older).await?;
        Ok(Response::new(v1::PromoteResponse {
            job: begun.begun.job.to_string(),
            build: begun.build,
        }))
    }

    async fn roll_back(
        &self,
        request: Request<v1::RollBackRequest>,
    ) -> Result<Response<v1::RollBackResponse>, Status> {
        concerns_build(&request, request.get_ref().build);
        let claim = take_claim(&request)?;
        let request = request.into_inner();
        let stage = request.stage.unwrap_or_default();
        let number = Some(request.build).filter(|number| *number > 0);
        let begun = operation::roll_back(self, claim, &stage.project, &stage.name, number).await?;
        Ok(Response::new(v1::RollBackResponse {
            job: begun.begun.job.to_string(),
            build: begun.build,
            notes: begun.notes,
        }))
    }

    async fn preview(
        &self,
        request: Request<v1::PreviewRequest>,
    ) -> Result<Response<v1::PreviewResponse>, Status> {
        let request = request.into_inner();
        let stage = request.stage.unwrap_or_default();
        let wanted = operation::WantedPreview {
            project: stage.project,
            stage: stage.name,
            build: Some(request.build).filter(|number| *number > 0),
            back: request.back,
            older: request.older,
        };
        let found = operation::preview(self, &wanted).await?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Response::new(v1::PreviewResponse {
            build: found.build,
            running: found.running.unwrap_or_default(),
            added: commits(found.commits.added),
            more_added: count(found.commits.more_added),
            removed: commits(found.commits.removed),
            more_removed: count(found.commits.more_removed),
            notes: found.notes,
            releases: found.releases,
            backs_up: found.backs_up,
        }))
    }
}

fn commits(found: Vec<FoundCommit>) -> Vec<v1::ChangedCommit> {
    let message = |found: FoundCommit| v1::ChangedCommit {
        commit: found.commit,
        subject: found.subject,
        author: found.author,
    };
    found.into_iter().map(message).collect()
}

/// The name of the account, where a local user deployed it.
fn by_whom(by: &str, users: &mut Users) -> String {
    match by.strip_prefix("uid ").and_then(|uid| uid.parse().ok()) {
        Some(uid) => users.name(&Creator::User(uid)),
        None => by.to_owned(),
    }
}

fn message(stage: ShownStage, users: &mut Users) -> v1::Stage {
    let row = stage.workspace.as_ref();
    v1::Stage {
        name: stage.name.to_string(),
        project: stage.project.to_string(),
        state: row.map_or(v1::WorkspaceState::Unspecified, state).into(),
        health: condition(stage.seen.health.condition).into(),
        health_message: stage.seen.health.message,
        url: stage.url,
        build: stage.running.as_ref().map_or(0, |running| running.build),
        previous: stage.previous.unwrap_or_default(),
        promotable: stage.promotable.unwrap_or_default(),
        deployed_at: stage.running.as_ref().map(|running| timestamp(running.at)),
        by: stage
            .running
            .as_ref()
            .map_or_else(String::new, |running| by_whom(&running.by, users)),
        commit: stage
            .running
            .map_or_else(String::new, |running| running.commit),
        job: row.map_or_else(String::new, |row| row.job.to_string()),
        failed_deployment: stage.failed.map(failed),
        held: stage.held.unwrap_or_default(),
    }
}
