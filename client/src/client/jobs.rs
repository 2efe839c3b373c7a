//! Requests about jobs.

use super::{Client, PAGE_SIZE};
use crate::{Event, Job, Result, Stream, convert::required};
use cid_proto::v1 as pb;

impl Client {
    /// One job.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is none.
    pub async fn job(&self, id: &str) -> Result<Job> {
        let request = pb::GetJobRequest { id: id.to_owned() };
        let answer = self.answer(self.jobs_service().get(request)).await?;
        required(answer.job, "no job")?.try_into()
    }

    /// The newest jobs, newest first: at most `limit`, of one project or of one
    /// address where given.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn jobs(
        &self,
        email: Option<&str>,
        project: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        let mut page_token = String::new();
        while jobs.len() < limit {
            let left = u32::try_from(limit - jobs.len()).unwrap_or(u32::MAX);
            let request = pb::ListJobsRequest {
                project: project.unwrap_or_default().to_owned(),
                email: email.unwrap_or_default().to_owned(),
                page_size: left.min(PAGE_SIZE),
                page_token,
            };
            let page = self.answer(self.jobs_service().list(request)).await?;
            for job in page.jobs {
                jobs.push(job.try_into()?);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        jobs.truncate(limit);
        Ok(jobs)
    }

    /// A job's journal after the line `after_seq` (0: from the beginning), then
    /// what is added to it. Ends when the job has come to rest, and with an error
    /// when the connection breaks; see [`Client::watch_resuming`].
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is no such job.
    pub async fn watch(
        &self,
        job: &str,
        after_seq: u64,
        whole_output: bool,
    ) -> Result<Stream<Event>> {
        let request = pb::WatchJobRequest {
            id: job.to_owned(),
            after_seq,
            whole_output,
        };
        self.stream(self.jobs_service().watch(request)).await
    }

    /// Stops a job and takes back what it did.
    ///
    /// # Errors
    ///
    /// [`Kind::Refused`](crate::Kind::Refused) when it has ended.
    pub async fn cancel(&self, job: &str) -> Result<Job> {
        let request = pb::CancelJobRequest { id: job.to_owned() };
        let answer = self.answer(self.jobs_service().cancel(request)).await?;
        required(answer.job, "no job")?.try_into()
    }

    /// Goes on with a stuck job where it stopped.
    ///
    /// # Errors
    ///
    /// [`Kind::Refused`](crate::Kind::Refused) when it is not stuck.
    pub async fn retry(&self, job: &str) -> Result<Job> {
        let request = pb::RetryJobRequest { id: job.to_owned() };
        let answer = self.answer(self.jobs_service().retry(request)).await?;
        required(answer.job, "no job")?.try_into()
    }
}
