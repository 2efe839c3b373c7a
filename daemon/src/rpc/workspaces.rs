//! Service `Workspaces`.

use super::{
    convert::{self, Users},
    named, only_looks, page_size, page_token, run, take_claim, viewer,
};
use crate::{
    cid::Cid,
    domain::{UnitName, Workspace},
    error::{self, Error},
    health::Health,
    operation::{self, Deletion, Staying, Visit},
};
use cid_proto::v1::{self, workspaces_server::Workspaces};
use futures::StreamExt as _;
use std::collections::HashMap;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

#[tonic::async_trait]
impl Workspaces for Cid {
    async fn create(
        &self,
        request: Request<v1::CreateRequest>,
    ) -> Result<Response<v1::CreateResponse>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let base = &request.get_ref().base;
        let begun = operation::create(self, claim, &named, base).await?;
        let mut users = Users::default();
        let workspace = convert::workspace(&begun.workspace, Health::default(), &mut users);
        Ok(Response::new(v1::CreateResponse {
            workspace: Some(workspace),
            job: begun.job.to_string(),
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let viewer = viewer(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let request = request.into_inner();
        let shown = operation::show(self, &viewer, &named, request.look).await?;
        Ok(Response::new(convert::shown(shown)))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size, 100)?;
        let after = page_token(&request.page_token)?.unwrap_or_default();
        let page = operation::list(self, &viewer, &request.project, after, limit).await?;
        let next_page_token = match page.last() {
            Some((last, _)) if page.len() == limit => last.id.to_string(),
            _ => String::new(),
        };
        let memory = match request.memory {
            true => operation::memory_of_each(&page).await,
            false => Vec::new(),
        };
        let mut memory = memory.into_iter();
        let used = match request.memory {
            true => self.store.used().await.map_err(Error::from)?,
            false => HashMap::new(),
        };
        let used_at = |workspace: &Workspace| Some(convert::timestamp(*used.get(&workspace.id)?));
        let mut failed = operation::failed_deployments(self).await?;
        let mut users = Users::default();
        let messages = page.into_iter().map(|(workspace, seen)| v1::Workspace {
            memory: memory.next().unwrap_or_default(),
            used_at: used_at(&workspace),
            failed_deployment: failed.remove(&workspace.id).map(convert::failed),
            ..convert::workspace(&workspace, seen.health, &mut users)
        });
        Ok(Response::new(v1::ListResponse {
            workspaces: messages.collect(),
            next_page_token,
        }))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        if request.get_ref().look {
            only_looks(&request);
        }
        let request = request.into_inner();
        let how = Deletion {
            discard: request.discard,
            with_branch: request.with_branch,
            force: request.force,
            look: request.look,
            looked: request.looked,
        };
        let deleted = operation::delete(self, claim, &named, &how).await?;
        Ok(Response::new(v1::DeleteResponse {
            job: deleted.job.map(|job| job.to_string()).unwrap_or_default(),
            files: deleted.report.map(|report| error::files(&report.files)),
            looked: deleted.looked,
        }))
    }

    async fn restart(
        &self,
        request: Request<v1::RestartRequest>,
    ) -> Result<Response<v1::RestartResponse>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let begun = operation::stay(self, claim, &named, &Staying::RESTART).await?;
        let job = begun.job.to_string();
        Ok(Response::new(v1::RestartResponse { job }))
    }

    async fn stop(
        &self,
        request: Request<v1::StopRequest>,
    ) -> Result<Response<v1::StopResponse>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let request = request.into_inner();
        let begun = operation::stop(self, claim, &named, request.sleep).await?;
        let job = begun.map(|begun| begun.job.to_string()).unwrap_or_default();
        Ok(Response::new(v1::StopResponse { job }))
    }

    async fn start(
        &self,
        request: Request<v1::StartRequest>,
    ) -> Result<Response<v1::StartResponse>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let begun = operation::start(self, claim, &named).await?;
        let job = begun.map(|begun| begun.job.to_string()).unwrap_or_default();
        Ok(Response::new(v1::StartResponse { job }))
    }

    async fn visit(
        &self,
        request: Request<v1::VisitRequest>,
    ) -> Result<Response<v1::VisitResponse>, Status> {
        use v1::visit_response::Outcome;
        let unit = UnitName::parse(&request.into_inner().unit);
        let unit = unit.ok_or_else(|| Error::invalid("unit", "it is no workspace's"))?;
        let outcome = match operation::visit(self, &unit).await? {
            Visit::Runs => Outcome::Runs,
            Visit::Woken => Outcome::Woken,
            Visit::Stopped => Outcome::Stopped,
            Visit::Silent => Outcome::Silent,
        };
        Ok(Response::new(v1::VisitResponse {
            outcome: outcome.into(),
        }))
    }

    async fn deploy(
        &self,
        request: Request<v1::DeployRequest>,
    ) -> Result<Response<v1::DeployResponse>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let begun = operation::stay(self, claim, &named, &Staying::DEPLOY).await?;
        let job = begun.job.to_string();
        Ok(Response::new(v1::DeployResponse { job }))
    }

    async fn repair_access(
        &self,
        request: Request<v1::RepairAccessRequest>,
    ) -> Result<Response<v1::RepairAccessResponse>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let begun = operation::stay(self, claim, &named, &Staying::REPAIR_ACCESS).await?;
        let job = begun.job.to_string();
        Ok(Response::new(v1::RepairAccessResponse { job }))
    }

    async fn logs(
        &self,
        request: Request<v1::LogsRequest>,
    ) -> Result<Response<BoxStream<v1::LogsResponse>>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let request = request.into_inner();
        let wanted = operation::WantedLogs {
            process: request.process,
            lines: request.lines,
            follow: request.follow,
            after: request.after.map(|place| (place.file, place.offset)),
        };
        let lines = operation::logs(self, claim, &named, &wanted).await?;
        let message = |line: operation::LogLine| {
            let (file, offset) = line.end;
            Ok(v1::LogsResponse {
                process: line.process,
                line: line.line,
                end: Some(v1::LogPlace { file, offset }),
            })
        };
        Ok(Response::new(lines.map(message).boxed()))
    }

    async fn run(
        &self,
        request: Request<Streaming<v1::RunRequest>>,
    ) -> Result<Response<BoxStream<v1::RunResponse>>, Status> {
        let claim = take_claim(&request)?;
        let answer = run::run(self, claim, request.into_inner()).await?;
        Ok(Response::new(answer.boxed()))
    }

    async fn test(
        &self,
        request: Request<v1::TestRequest>,
    ) -> Result<Response<BoxStream<v1::RunResponse>>, Status> {
        let claim = take_claim(&request)?;
        let named = named(&request, request.get_ref().workspace.as_ref())?;
        let answer = run::test(self, claim, &named, request.get_ref().number).await?;
        Ok(Response::new(answer.boxed()))
    }
}
