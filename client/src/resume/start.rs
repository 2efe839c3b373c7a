//! Starting a job across restarts of the daemon.

use super::Patience;
use crate::{Client, DeleteOptions, Deletion, Error, JobKind, Kind, Result};
use jiff::{SignedDuration, Timestamp};
use std::cell::Cell;

/// How much earlier than we asked a job of ours may seem to be made: the daemon
/// may write times down more coarsely than we read them.
const SLACK: SignedDuration = SignedDuration::from_secs(1);
/// How many of an address's newest jobs are looked through for ours.
const RECENT: usize = 10;

/// As the calls of the same names, but these return the job's id. When the connection breaks before the answer, they
/// wait up to 60 s for the daemon and find out whether the request got through. If it did, they follow the job that it
/// started; if not, they ask again. A workspace or job that was there before they asked is a conflict as ever.
impl Client {
    /// [`Client::create`], across restarts of the daemon.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub async fn create_resuming(
        &self,
        email: &str,
        project: Option<&str>,
        base: Option<&str>,
    ) -> Result<String> {
        let create = async || Ok(self.create(email, project, base).await?.job);
        self.start(JobKind::Create, email, project, create).await
    }

    /// [`Client::delete`], across restarts of the daemon.
    ///
    /// # Errors
    ///
    /// As [`Client::delete`].
    pub async fn delete_resuming(
        &self,
        email: &str,
        project: Option<&str>,
        options: DeleteOptions,
    ) -> Result<Deletion> {
        let files = Cell::default();
        let delete = async || {
            let deletion = self.delete(email, project, options.clone()).await?;
            files.set(deletion.files);
            Ok(deletion.job)
        };
        let job = self.start(JobKind::Delete, email, project, delete).await?;
        Ok(Deletion {
            job,
            files: files.take(),
        })
    }

    /// A call that begins a job of this kind about a workspace, across restarts of the daemon; gives the
    /// job's id.
    ///
    /// # Errors
    ///
    /// As the call.
    pub async fn start(
        &self,
        kind: JobKind,
        email: &str,
        project: Option<&str>,
        ask: impl AsyncFn() -> Result<String>,
    ) -> Result<String> {
        let asked_at = Timestamp::now();
        let mut error = match ask().await {
            Err(error) if error.kind == Kind::Disconnected => error,
            answer => return answer,
        };
        let mut patience = Patience::default();
        loop {
            patience.pause(error).await?;
            let answer = match self.started(kind, email, project, asked_at).await {
                Ok(Some(job)) => Ok(job),
                Ok(None) => ask().await,
                Err(error) => Err(error),
            };
            error = match answer {
                Err(error) if error.kind.is_connection() => error,
                Err(error) if error.kind == Kind::Conflict => return self.adopt(kind, error).await,
                answer => return answer,
            };
        }
    }

    /// The job that a request of ours started, if it did.
    async fn started(
        &self,
        kind: JobKind,
        email: &str,
        project: Option<&str>,
        asked_at: Timestamp,
    ) -> Result<Option<String>> {
        let jobs = self.jobs(Some(email), project, RECENT).await?;
        Ok(jobs
            .into_iter()
            .find(|job| job.kind == kind && job.created_at.duration_since(asked_at) >= -SLACK)
            .map(|job| job.id))
    }

    /// The conflicting live job, if it does what we asked for.
    async fn adopt(&self, kind: JobKind, conflict: Error) -> Result<String> {
        let in_the_way = conflict.conflict.as_ref().and_then(|it| it.job.clone());
        match in_the_way {
            Some(job) if self.job(&job).await?.kind == kind => Ok(job),
            _ => Err(conflict),
        }
    }
}
