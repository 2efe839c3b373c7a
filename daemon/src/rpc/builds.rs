//! Service `Builds`.

use super::{
    concerns_build,
    convert::{duration, timestamp},
    page_size, page_token, take_claim,
};
use crate::{
    cid::Cid,
    domain::{Build, BuildState},
    error::Error,
    operation::{self, RunningBuild},
};
use cid_proto::v1::{self, builds_server::Builds};
use cid_protocol::fault::Fault;
use futures::StreamExt as _;
use tonic::{Request, Response, Status, codegen::BoxStream};

#[tonic::async_trait]
impl Builds for Cid {
    async fn start(
        &self,
        request: Request<v1::StartBuildRequest>,
    ) -> Result<Response<v1::StartBuildResponse>, Status> {
        let claim = take_claim(&request)?;
        let v1::StartBuildRequest {
            project,
            revision,
            again,
        } = request.into_inner();
        let (build, is_new) = operation::build(self, claim, &project, &revision, again).await?;
        Ok(Response::new(v1::StartBuildResponse {
            build: Some(message(build, &[])),
            existed: !is_new,
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListBuildsRequest>,
    ) -> Result<Response<v1::ListBuildsResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size, 100)?;
        let before = page_token(&request.page_token)?;
        let project = match request.project.as_str() {
            "" => None,
            name => Some(operation::known_project(self, name).await?),
        };
        let builds = self.store.builds(project, before, limit).await;
        let builds = builds.map_err(Error::from)?;
        let next_page_token = match builds.last() {
            Some(last) if builds.len() == limit => last.id.to_string(),
            _ => String::new(),
        };
        let running = operation::running_builds(self, &builds).await?;
        let builds = builds.into_iter().map(|build| message(build, &running));
        Ok(Response::new(v1::ListBuildsResponse {
            builds: builds.collect(),
            next_page_token,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetBuildRequest>,
    ) -> Result<Response<v1::GetBuildResponse>, Status> {
        let build = request.into_inner().build.unwrap_or_default();
        let build = operation::show_build(self, &build.project, build.number).await?;
        let running = operation::running_builds(self, std::slice::from_ref(&build)).await?;
        let eligible = operation::eligible(self, &build).await?;
        let build = v1::Build {
            eligible: eligible.iter().map(ToString::to_string).collect(),
            ..message(build, &running)
        };
        Ok(Response::new(v1::GetBuildResponse { build: Some(build) }))
    }

    async fn logs(
        &self,
        request: Request<v1::BuildLogsRequest>,
    ) -> Result<Response<BoxStream<v1::BuildLogsResponse>>, Status> {
        let claim = take_claim(&request)?;
        let build = request.get_ref().build.clone().unwrap_or_default();
        concerns_build(&request, build.number);
        let output = operation::build_output(self, claim, &build.project, build.number).await?;
        let message = |piece: Result<Vec<u8>, Fault>| match piece {
            Ok(chunk) => Ok(v1::BuildLogsResponse { chunk }),
            Err(fault) => Err(Error::from(fault).into()),
        };
        Ok(Response::new(output.map(message).boxed()))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteBuildRequest>,
    ) -> Result<Response<v1::DeleteBuildResponse>, Status> {
        let claim = take_claim(&request)?;
        let build = request.get_ref().build.clone().unwrap_or_default();
        concerns_build(&request, build.number);
        operation::delete_build(self, claim, &build.project, build.number).await?;
        Ok(Response::new(v1::DeleteBuildResponse {}))
    }
}

/// `running`: which build runs in which stage.
fn message(build: Build, running: &[RunningBuild]) -> v1::Build {
    let state = match build.state {
        BuildState::Queued => v1::BuildState::Queued,
        BuildState::Building => v1::BuildState::Building,
        BuildState::Testing => v1::BuildState::Testing,
        BuildState::Passed => v1::BuildState::Passed,
        BuildState::Failed => v1::BuildState::Failed,
        BuildState::Error => v1::BuildState::Error,
        BuildState::Superseded => v1::BuildState::Superseded,
    };
    let verdict = build.verdict.unwrap_or_default();
    let own = running
        .iter()
        .filter(|one| one.project == build.project && one.build == build.number);
    v1::Build {
        stages: own.map(|one| one.stage.to_string()).collect(),
        number: build.number,
        project: build.project.to_string(),
        commit: build.source.commit,
        r#ref: build.source.reference,
        subject: build.source.subject,
        author: build.source.author,
        state: state.into(),
        created_at: Some(timestamp(build.created_at)),
        took: build.took_ms.and_then(duration),
        job: build.job.to_string(),
        digest: build.digest.unwrap_or_default(),
        verdict: verdict.message,
        tests: verdict.tests,
        failed: verdict.failed,
        skipped: verdict.skipped,
        failed_tests: verdict.names,
        eligible: Vec::new(),
    }
}
