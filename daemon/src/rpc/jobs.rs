//! Service `Jobs`.

use super::{convert, of_field, page_size, page_token, take_claim, viewer};
use crate::{
    cid::Cid,
    domain::Owner,
    error::Error,
    operation::{self, Watch, Watched},
    store::JobFilter,
};
use cid_proto::v1::{self, jobs_server::Jobs};
use futures::StreamExt as _;
use tonic::{Request, Response, Status, codegen::BoxStream};
use uuid::Uuid;

#[tonic::async_trait]
impl Jobs for Cid {
    async fn get(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let viewer = viewer(&request)?;
        let id = id(&request.into_inner().id)?;
        let job = operation::show_job(self, &viewer, id).await?;
        let job = Some(convert::job(&job));
        Ok(Response::new(v1::GetJobResponse { job }))
    }

    async fn list(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size, 50)?;
        let owner = match request.email.as_str() {
            "" => None,
            text => Some(of_field("email", Owner::parse(text))?),
        };
        let project = match request.project.as_str() {
            "" => None,
            name => Some(operation::known_project(self, name).await?),
        };
        let filter = JobFilter {
            project,
            owner,
            before: page_token(&request.page_token)?,
        };
        let jobs = operation::list_jobs(self, &viewer, filter, limit).await?;
        let next_page_token = match jobs.last() {
            Some(last) if jobs.len() == limit => last.row.id.to_string(),
            _ => String::new(),
        };
        Ok(Response::new(v1::ListJobsResponse {
            jobs: jobs.iter().map(convert::job).collect(),
            next_page_token,
        }))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchJobRequest>,
    ) -> Result<Response<BoxStream<v1::WatchJobResponse>>, Status> {
        let viewer = viewer(&request)?;
        let request = request.into_inner();
        let id = id(&request.id)?;
        let (after, whole) = (request.after_seq, request.whole_output);
        let watch = operation::watch_job(self, &viewer, id, after, whole).await?;
        let Watch { job, plan, news } = watch;
        let message = move |news| {
            let event = match news? {
                Watched::Line(event) => convert::event(event, &plan),
                Watched::Waiting(seq, waiting) => {
                    convert::waiting_event(job, seq, waiting.as_ref())
                }
                Watched::Cut => return Err(Status::unavailable("the daemon is going down")),
            };
            Ok(v1::WatchJobResponse { event: Some(event) })
        };
        Ok(Response::new(news.map(message).boxed()))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let claim = take_claim(&request)?;
        let id = id(&request.into_inner().id)?;
        let job = operation::cancel_job(self, claim, id).await?;
        let job = Some(convert::job(&job));
        Ok(Response::new(v1::CancelJobResponse { job }))
    }

    async fn retry(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        let claim = take_claim(&request)?;
        let id = id(&request.into_inner().id)?;
        let job = operation::retry_job(self, claim, id).await?;
        let job = Some(convert::job(&job));
        Ok(Response::new(v1::RetryJobResponse { job }))
    }
}

fn id(text: &str) -> Result<Uuid, Error> {
    text.parse()
        .map_err(|_| Error::invalid("id", format!("{text:?} is not the id of a job")))
}
