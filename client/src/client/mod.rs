//! The client: one method a request, each with a time limit.

mod jobs;
mod operator;
mod workspaces;

use crate::{Error, Result, Stream, connect};
use cid_proto::v1::{jobs_client, projects_client, system_client, workspaces_client};
use futures::StreamExt as _;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tonic::{Response, Status, Streaming, transport::Channel};

/// How long the daemon may take to answer a request that is not a stream.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long `project check` and `doctor` may take: they ask servers and programs.
const SURVEY_LIMIT: Duration = Duration::from_secs(300);
const PAGE_SIZE: u32 = 500;

/// A connection to the daemon. Cheap to clone; a connection that broke, e.g.
/// because the daemon was restarted, is dialled again at the next call.
///
/// Every method fails with an [`Error`] whose [`kind`](Error::kind) says why;
/// those that wait for one answer give up after 30 s.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    socket: PathBuf,
}

impl Client {
    /// Connects to the daemon that listens on `socket`.
    ///
    /// # Errors
    ///
    /// [`Kind::Unreachable`](crate::Kind::Unreachable) when there is no connection within 5 s.
    pub async fn connect(socket: &Path) -> Result<Self> {
        Ok(Self {
            channel: connect::dial(socket).await?,
            socket: socket.to_owned(),
        })
    }

    /// A client that connects at its first call: for those who may start before
    /// the daemon does. Must be called within a Tokio runtime.
    #[must_use]
    pub fn lazy(socket: &Path) -> Self {
        Self {
            channel: connect::dial_later(socket),
            socket: socket.to_owned(),
        }
    }

    pub(crate) fn workspaces(&self) -> workspaces_client::WorkspacesClient<Channel> {
        workspaces_client::WorkspacesClient::new(self.channel.clone())
    }

    fn jobs_service(&self) -> jobs_client::JobsClient<Channel> {
        jobs_client::JobsClient::new(self.channel.clone())
    }

    fn projects_service(&self) -> projects_client::ProjectsClient<Channel> {
        projects_client::ProjectsClient::new(self.channel.clone())
    }

    fn system_service(&self) -> system_client::SystemClient<Channel> {
        system_client::SystemClient::new(self.channel.clone())
    }

    pub(crate) fn error(&self, status: &Status) -> Error {
        Error::from_status(status, &self.socket)
    }

    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        self.answer_within(CALL_LIMIT, call).await
    }

    async fn answer_within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.error(&status)),
            Err(_elapsed) => Err(Error::timeout(&self.socket, limit)),
        }
    }

    /// Begins a streaming call, for which there is no time limit but the daemon's.
    async fn stream<P, T>(
        &self,
        call: impl Future<Output = Result<Response<Streaming<P>>, Status>>,
    ) -> Result<Stream<T>>
    where
        P: Send + 'static,
        T: TryFrom<P> + 'static,
        Error: From<T::Error>,
    {
        let answers = call.await.map_err(|status| self.error(&status))?;
        let client = self.clone();
        Ok(answers
            .into_inner()
            .map(move |answer| {
                let answer = answer.map_err(|status| client.error(&status))?;
                Ok(T::try_from(answer)?)
            })
            .boxed())
    }
}
