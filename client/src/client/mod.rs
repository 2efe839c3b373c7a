//! The client: one method a request, each with a time limit.

mod builds;
mod hooks;
mod jobs;
mod operator;
mod people;
mod stages;
mod workspaces;

pub use builds::Output as BuildOutput;
pub use hooks::Delivery;
pub use stages::Deploying;

use crate::{Error, Result, Stream, connect};
use cid_proto::v1::{
    builds_client, hooks_client, jobs_client, people_client, projects_client, stages_client,
    system_client, workspaces_client,
};
use futures::StreamExt as _;
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};
use tonic::{
    Request, Response, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// How long the daemon may take to answer a request that is not a stream.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long `project check` and `doctor` may take: they ask servers and programs.
const SURVEY_LIMIT: Duration = Duration::from_secs(300);
/// How long a visitor waits for a workspace that is woken.
const VISIT_LIMIT: Duration = Duration::from_secs(58);
/// How long a delete may take to begin: it asks all remotes of a workspace.
const LOOK_LIMIT: Duration = Duration::from_secs(150);
/// How much longer anything may take when a person may be asked for a password.
const PROMPT_LIMIT: Duration = Duration::from_secs(125);
const PAGE_SIZE: u32 = 500;

/// The daemon's connection, each request marked where a person can be asked for a password.
pub(crate) type Line = InterceptedService<Channel, Mark>;

/// Marks requests.
#[derive(Clone, Default)]
pub(crate) struct Mark {
    is_interactive: bool,
    session: Option<Session>,
}

/// The token of a person's session; shown nowhere.
#[derive(Clone)]
struct Session(MetadataValue<Ascii>);

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mark")
            .field("is_interactive", &self.is_interactive)
            .field("has_session", &self.session.is_some())
            .finish()
    }
}

impl Interceptor for Mark {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if self.is_interactive {
            let yes = MetadataValue::from_static("yes");
            request.metadata_mut().insert("cid-interactive", yes);
        }
        if let Some(Session(token)) = &self.session {
            request.metadata_mut().insert("cid-session", token.clone());
        }
        Ok(request)
    }
}

/// A connection to the daemon. Cheap to clone; a connection that broke, e.g.
/// because the daemon was restarted, is dialled again at the next call.
///
/// Every method fails with an [`Error`] whose [`kind`](Error::kind) says why;
/// those that wait for one answer give up after 30 s, where it does not say otherwise.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    socket: PathBuf,
    mark: Mark,
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
            mark: Mark::default(),
        })
    }

    /// A client that connects at its first call: for those who may start before
    /// the daemon does. Must be called within a Tokio runtime.
    #[must_use]
    pub fn lazy(socket: &Path) -> Self {
        Self {
            channel: connect::dial_later(socket),
            socket: socket.to_owned(),
            mark: Mark::default(),
        }
    }

    /// The same client for a person who can be asked for a password where the daemon wants one;
    /// then every call may take two minutes longer. An agent of polkit must be there for that.
    #[must_use]
    pub fn interactive(self) -> Self {
        Self {
            mark: Mark {
                is_interactive: true,
                ..self.mark
            },
            ..self
        }
    }

    /// The same connection on behalf of the person whose session has this token; for the front alone.
    #[must_use]
    pub fn for_session(&self, token: &str) -> Self {
        let mut client = self.clone();
        // What is no token of the daemon's cannot be a session's; the daemon says so.
        let token = MetadataValue::try_from(token).unwrap_or(MetadataValue::from_static("none"));
        client.mark.session = Some(Session(token));
        client
    }

    pub(crate) fn workspaces(&self) -> workspaces_client::WorkspacesClient<Line> {
        workspaces_client::WorkspacesClient::with_interceptor(
            self.channel.clone(),
            self.mark.clone(),
        )
    }

    fn hooks_service(&self) -> hooks_client::HooksClient<Line> {
        hooks_client::HooksClient::with_interceptor(self.channel.clone(), self.mark.clone())
    }

    fn builds_service(&self) -> builds_client::BuildsClient<Line> {
        builds_client::BuildsClient::with_interceptor(self.channel.clone(), self.mark.clone())
    }

    fn stages_service(&self) -> stages_client::StagesClient<Line> {
        stages_client::StagesClient::with_interceptor(self.channel.clone(), self.mark.clone())
    }

    fn jobs_service(&self) -> jobs_client::JobsClient<Line> {
        jobs_client::JobsClient::with_interceptor(self.channel.clone(), self.mark.clone())
    }

    fn people_service(&self) -> people_client::PeopleClient<Line> {
        people_client::PeopleClient::with_interceptor(self.channel.clone(), self.mark.clone())
    }

    fn projects_service(&self) -> projects_client::ProjectsClient<Line> {
        projects_client::ProjectsClient::with_interceptor(self.channel.clone(), self.mark.clone())
    }

    fn system_service(&self) -> system_client::SystemClient<Line> {
        system_client::SystemClient::with_interceptor(self.channel.clone(), self.mark.clone())
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
        let limit = match self.mark.is_interactive {
            true => limit + PROMPT_LIMIT,
            false => limit,
        };
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
