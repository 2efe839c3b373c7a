//! Service `Projects`.

use super::{concerns, convert, page_size, take_claim};
use crate::{
    cid::{Cid, FollowUp},
    domain::{Delivery, ProjectName},
    error::Error,
    operation::project,
    trigger,
};
use cid_proto::v1::{self, projects_server::Projects};
use cid_protocol::fault::Fault;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Projects for Cid {
    async fn list(
        &self,
        request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size, 100)?;
        let projects = project::list(self, &request.page_token, limit).await?;
        let next_page_token = match projects.last() {
            Some(last) if projects.len() == limit => last.name.clone(),
            _ => String::new(),
        };
        let message = |project| convert::project(project, &self.layout);
        Ok(Response::new(v1::ListProjectsResponse {
            projects: projects.into_iter().map(message).collect(),
            next_page_token,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetProjectRequest>,
    ) -> Result<Response<v1::GetProjectResponse>, Status> {
        let shown = project::show(self, &request.into_inner().name).await?;
        let project = Some(convert::project(shown, &self.layout));
        Ok(Response::new(v1::GetProjectResponse { project }))
    }

    async fn check(
        &self,
        request: Request<v1::CheckProjectRequest>,
    ) -> Result<Response<v1::CheckProjectResponse>, Status> {
        let name = request.get_ref().name.clone();
        if let Some(project) = ProjectName::parse(&name) {
            concerns(&request, &project);
        }
        let items = project::check(self, &name).await?;
        Ok(Response::new(v1::CheckProjectResponse {
            items: items.into_iter().map(convert::item).collect(),
        }))
    }

    async fn fetch(
        &self,
        request: Request<v1::FetchProjectRequest>,
    ) -> Result<Response<v1::FetchProjectResponse>, Status> {
        let claim = take_claim(&request)?;
        let name = request.into_inner().name;
        let followed = trigger::fetch(self, claim, &name).await?;
        let message = |one: FollowUp| v1::FollowUp {
            branch: one.branch,
            commit: one.commit.unwrap_or_default(),
            message: one.message,
            job: one.job.map(|job| job.to_string()).unwrap_or_default(),
        };
        Ok(Response::new(v1::FetchProjectResponse {
            follow_ups: followed.into_iter().map(message).collect(),
        }))
    }

    async fn hooks(
        &self,
        request: Request<v1::ProjectHooksRequest>,
    ) -> Result<Response<v1::ProjectHooksResponse>, Status> {
        let claim = take_claim(&request)?;
        let name = request.into_inner().name;
        let deliveries = trigger::hooks(self, claim, &name).await?;
        let message = |one: Delivery| v1::HookDelivery {
            at: Some(convert::timestamp(one.at)),
            scheme: one.scheme,
            event: one.event,
            id: one.id,
            accepted: one.accepted,
            outcome: one.outcome,
        };
        Ok(Response::new(v1::ProjectHooksResponse {
            deliveries: deliveries.into_iter().map(message).collect(),
        }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveProjectRequest>,
    ) -> Result<Response<v1::RemoveProjectResponse>, Status> {
        let name = &request.get_ref().name;
        let Some(project) = ProjectName::parse(name) else {
            return Err(Error::not_found(format!("there is no project {name:?}")).into());
        };
        concerns(&request, &project);
        if request.get_ref().only_check {
            project::check_removal(self, &project).await?;
            return Ok(Response::new(v1::RemoveProjectResponse::default()));
        }
        let cid = self.clone();
        // It continues if the caller disconnects.
        let removing = tokio::spawn(async move { project::remove(&cid, &project).await });
        let removed = removing.await.map_err(|error| {
            Error::Fault(Fault::new(format!("cannot go on removing: {error}")))
        })??;
        let file = removed.file.map(|file| file.display().to_string());
        Ok(Response::new(v1::RemoveProjectResponse {
            file: file.unwrap_or_default(),
            removed: removed.removed,
            kept: removed.kept,
        }))
    }
}
