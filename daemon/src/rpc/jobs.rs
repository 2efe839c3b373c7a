//! Service `Jobs`.

use super::{convert, page_size, take_claim};
use crate::{
    authz::{Action, Claim, Decision, Denial, Permit, Subject, Viewer},
    cid::{Cid, streams::Kind},
    domain::{
        Email, JobState,
        event::{Progress, What},
    },
    engine::Plan,
    error::Error,
    store::{JobFilter, JobRow},
};
use cid_proto::v1::{self, jobs_server::Jobs};
use cid_protocol::budget::WATCH_BATCH;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// A watcher looks again after this time, even without a notification.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[tonic::async_trait]
impl Jobs for Cid {
    async fn get(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let viewer = viewer(&request)?;
        let id = id(&request.into_inner().id)?;
        let mut job = self.job_message(id).await?;
        if let Some(failure) = job.failure.as_mut().filter(|f| !f.output.is_empty()) {
            let subject = self.subject_of(&self.engine.job(id).await?);
            match viewer.may_see_output(&subject).await {
                Decision::Allowed => viewer.has_read(&subject).await,
                Decision::Denied(denial) => {
                    failure.output.clear();
                    failure.output_withheld = withheld(&denial);
                }
            }
        }
        Ok(Response::new(v1::GetJobResponse { job: Some(job) }))
    }

    async fn list(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size, 50)?;
        let email = match request.email.as_str() {
            "" => None,
            text => Some(
                Email::parse(text).map_err(|error| Error::invalid("email", error.to_string()))?,
            ),
        };
        let project = match request.project.as_str() {
            "" => None,
            name => Some(self.known_project(name).await?),
        };
        let before = match request.page_token.as_str() {
            "" => None,
            token => Some(
                token
                    .parse()
                    .map_err(|_| Error::invalid("page_token", "this is no page token of cid's"))?,
            ),
        };
        let rows = self
            .store
            .jobs(
                JobFilter {
                    project,
                    email,
                    before,
                },
                limit,
            )
            .await
            .map_err(Error::from)?;
        let next_page_token = match rows.last() {
            Some(last) if rows.len() == limit => last.id.to_string(),
            _ => String::new(),
        };
        let waiting = self.sys.queues.all_waiting();
        let jobs = rows
            .iter()
            .map(|row| v1::Job {
                waiting: waiting.get(&row.id).map(convert::waiting),
                ..without_output(convert::job(row, None, None, Vec::new()))
            })
            .collect();
        Ok(Response::new(v1::ListJobsResponse {
            jobs,
            next_page_token,
        }))
    }

    type WatchStream = ReceiverStream<Result<v1::WatchJobResponse, Status>>;

    async fn watch(
        &self,
        request: Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let viewer = viewer(&request)?;
        let place = self.streams.begin(viewer.uid(), Kind::Watches)?;
        let request = request.into_inner();
        let row = self.engine.job(id(&request.id)?).await?;
        let subject = self.subject_of(&row);
        let with_output = viewer.may_see_output(&subject).await == Decision::Allowed;
        if with_output {
            viewer.has_read(&subject).await;
        }
        // The unread output is at most one chunk that was read at once, and one line.
        let (sender, receiver) = mpsc::channel(1);
        let cid = self.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(status) = cid
                .watch_job(row, request.after_seq, with_output, &sender)
                .await
            {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let claim = take_claim(&request)?;
        let id = id(&request.into_inner().id)?;
        let permit = self.bind_job(claim, id).await?;
        self.engine.cancel(permit, id).await?;
        Ok(Response::new(v1::CancelJobResponse {
            job: Some(without_output(self.job_message(id).await?)),
        }))
    }

    async fn retry(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        let claim = take_claim(&request)?;
        let id = id(&request.into_inner().id)?;
        let permit = self.bind_job(claim, id).await?;
        self.engine.retry(permit, id).await?;
        Ok(Response::new(v1::RetryJobResponse {
            job: Some(without_output(self.job_message(id).await?)),
        }))
    }
}

fn id(text: &str) -> Result<Uuid, Error> {
    text.parse()
        .map_err(|_| Error::invalid("id", format!("{text:?} is not the id of a job")))
}

/// The caller, as the enforcing layer stored it.
fn viewer<T>(request: &Request<T>) -> Result<Viewer, Error> {
    let viewer = request.extensions().get::<Viewer>().cloned();
    viewer.ok_or_else(|| Error::Denied {
        message: "the call was not authorised".into(),
        hint: None,
    })
}

/// Shown instead of a failure's last lines.
fn withheld(denial: &Denial) -> String {
    let right = Action::ReadLogs.id();
    format!(
        "not shown: output is for those who may read the workspace's logs ({right}): {}",
        denial.reason
    )
}

/// Output is shown only to callers who ask for this one job and may read its workspace's logs.
fn without_output(mut job: v1::Job) -> v1::Job {
    if let Some(failure) = &mut job.failure {
        failure.output.clear();
    }
    job
}

impl Cid {
    /// Asks whether the caller may do it to the workspace that a job is about.
    async fn bind_job(&self, claim: Claim, id: Uuid) -> Result<Permit, Error> {
        let job = self.engine.job(id).await?;
        claim.bind(self.subject_of(&job)).await
    }

    fn subject_of(&self, job: &JobRow) -> Subject {
        let made = Some((&job.name, &job.creator));
        self.subject(&job.project, &job.email, made, Some(job.id))
    }

    async fn job_message(&self, id: Uuid) -> Result<v1::Job, Error> {
        let row = self.engine.job(id).await?;
        let plan: Option<Plan> = serde_json::from_value(row.plan.clone()).ok();
        let mut progress = Progress::new(plan.map_or(0, |plan| plan.steps.len()));
        let mut stuck = None;
        for event in self.store.milestones(id).await? {
            match &event.what {
                What::Stuck { message, .. } => stuck = Some(message.clone()),
                What::Retried => stuck = None,
                _ => {}
            }
            if let Err(error) = progress.next(&event.what) {
                tracing::warn!(job = %id, "{error}");
            }
        }
        if row.state != JobState::Stuck {
            stuck = None;
        }
        let owed = self.store.owed().await?;
        let owed = owed
            .iter()
            .filter(|owed| owed.job == id)
            .map(|owed| format!("{} ({})", owed.debt, owed.reason))
            .collect();
        Ok(v1::Job {
            waiting: self.engine.waiting(id).as_ref().map(convert::waiting),
            ..convert::job(&row, Some(&progress), stuck.as_deref(), owed)
        })
    }

    /// Sends the journal after a line, then new lines, until the job is at rest.
    async fn watch_job(
        &self,
        row: JobRow,
        mut after: u64,
        with_output: bool,
        sender: &mpsc::Sender<Result<v1::WatchJobResponse, Status>>,
    ) -> Result<(), Status> {
        let plan: Plan = serde_json::from_value(row.plan.clone())
            .map_err(|_| Status::internal("cannot read the job's plan"))?;
        let mut told = None;
        loop {
            // Subscribe first, then read: a line written between the two is still announced.
            let news = self.engine.follow(row.id);
            let events = self
                .store
                .events(row.id, after, WATCH_BATCH.most)
                .await
                .map_err(Error::from)?;
            let is_all = events.is_empty();
            for event in events {
                after = event.seq;
                if !with_output && matches!(event.what, What::Output { .. }) {
                    continue;
                }
                let message = v1::WatchJobResponse {
                    event: Some(convert::event(event, &plan)),
                };
                if sender.send(Ok(message)).await.is_err() {
                    return Ok(());
                }
            }
            if !is_all {
                continue;
            }
            let state = self.engine.job(row.id).await?.state;
            if (state.is_ended() || state == JobState::Stuck)
                && self
                    .store
                    .events(row.id, after, 1)
                    .await
                    .map_err(Error::from)?
                    .is_empty()
            {
                return Ok(());
            }
            let waiting = self.engine.waiting(row.id);
            if waiting != told {
                let event = convert::waiting_event(row.id, after, waiting.as_ref());
                let message = v1::WatchJobResponse { event: Some(event) };
                if sender.send(Ok(message)).await.is_err() {
                    return Ok(());
                }
                told = waiting;
            }
            let changed = async {
                match news {
                    Some(mut news) => {
                        let _ = news.wait_for(|seq| *seq > after).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = sender.closed() => return Ok(()),
                () = self.stopping.cancelled() => return Err(Status::unavailable("the daemon is going down")),
            }
        }
    }
}
