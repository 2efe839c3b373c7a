//! Requests about workspaces.

use super::{Client, LOOK_LIMIT, PAGE_SIZE, VISIT_LIMIT};
use crate::{
    Created, DeleteOptions, Deletion, LogLine, LogOptions, Look, Result, RunInput, RunOutput,
    Stream, Terminal, TerminalSize, Visited, Workspace, convert::required,
};
use cid_proto::v1::{self as pb, run_request::Message};
use futures::{StreamExt as _, stream};

impl Client {
    /// Starts the job that makes a workspace. `project` may be left out where
    /// the daemon has one project only.
    ///
    /// # Errors
    ///
    /// [`Kind::Conflict`](crate::Kind::Conflict) when the address has one already.
    pub async fn create(
        &self,
        email: &str,
        project: Option<&str>,
        base: Option<&str>,
    ) -> Result<Created> {
        let request = pb::CreateRequest {
            workspace: Some(reference(email, project)),
            base: base.unwrap_or_default().to_owned(),
        };
        self.answer(self.workspaces().create(request))
            .await?
            .try_into()
    }

    /// One workspace. Here and below `project` may be left out where the address
    /// has a workspace in one project only.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is none.
    pub async fn get(&self, email: &str, project: Option<&str>) -> Result<Workspace> {
        self.get_and(email, project, false).await
    }

    /// One workspace, and where its clone stands.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn show(&self, email: &str, project: Option<&str>) -> Result<Workspace> {
        self.get_and(email, project, true).await
    }

    async fn get_and(&self, email: &str, project: Option<&str>, look: bool) -> Result<Workspace> {
        let request = pb::GetRequest {
            workspace: Some(reference(email, project)),
            look,
        };
        let answer = self.answer(self.workspaces().get(request)).await?;
        let workspace = required(answer.workspace, "no workspace")?.try_into()?;
        Ok(Workspace {
            standing: answer.standing.map(Into::into),
            ..workspace
        })
    }

    /// All workspaces, or all of one project.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn list(&self, project: Option<&str>) -> Result<Vec<Workspace>> {
        self.listed(project, false).await
    }

    /// All workspaces, with the memory that each has.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn list_with_memory(&self) -> Result<Vec<Workspace>> {
        self.listed(None, true).await
    }

    async fn listed(&self, project: Option<&str>, memory: bool) -> Result<Vec<Workspace>> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = pb::ListRequest {
                project: project.unwrap_or_default().to_owned(),
                page_size: PAGE_SIZE,
                page_token,
                memory,
            };
            let page = self.answer(self.workspaces().list(request)).await?;
            for workspace in page.workspaces {
                all.push(workspace.try_into()?);
            }
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Starts the job that removes a workspace. The daemon looks for work first, which may take more
    /// than a minute.
    ///
    /// # Errors
    ///
    /// [`Kind::Conflict`](crate::Kind::Conflict) when work would be lost and
    /// `options.discard` is not set, or when a job is in the way.
    pub async fn delete(
        &self,
        email: &str,
        project: Option<&str>,
        options: DeleteOptions,
    ) -> Result<Deletion> {
        let answer = self.ask_to_delete(email, project, options, false).await?;
        Ok(Deletion {
            job: answer.job,
            files: answer.files.unwrap_or_default().into(),
        })
    }

    /// What would go with a workspace; starts nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::delete`].
    pub async fn look_before_delete(
        &self,
        email: &str,
        project: Option<&str>,
        options: DeleteOptions,
    ) -> Result<Look> {
        let answer = self.ask_to_delete(email, project, options, true).await?;
        Ok(Look {
            files: answer.files.unwrap_or_default().into(),
            looked: answer.looked,
        })
    }

    async fn ask_to_delete(
        &self,
        email: &str,
        project: Option<&str>,
        options: DeleteOptions,
        look: bool,
    ) -> Result<pb::DeleteResponse> {
        let request = pb::DeleteRequest {
            workspace: Some(reference(email, project)),
            with_branch: options.with_branch,
            force: options.force,
            discard: options.discard,
            look,
            looked: options.looked,
        };
        self.answer_within(LOOK_LIMIT, self.workspaces().delete(request))
            .await
    }

    /// Starts the job that restarts a workspace's processes, and gives the job's id.
    ///
    /// # Errors
    ///
    /// [`Kind::Conflict`](crate::Kind::Conflict) when a job is in the way.
    pub async fn restart(&self, email: &str, project: Option<&str>) -> Result<String> {
        let request = pb::RestartRequest {
            workspace: Some(reference(email, project)),
        };
        Ok(self.answer(self.workspaces().restart(request)).await?.job)
    }

    /// Starts the job that stops a workspace's processes, and gives the job's id; with `sleep` the next visitor
    /// starts them again. `None`: they are stopped already.
    ///
    /// # Errors
    ///
    /// [`Kind::Conflict`](crate::Kind::Conflict) when a job is in the way.
    pub async fn stop(
        &self,
        email: &str,
        project: Option<&str>,
        sleep: bool,
    ) -> Result<Option<String>> {
        let request = pb::StopRequest {
            workspace: Some(reference(email, project)),
            sleep,
        };
        let job = self.answer(self.workspaces().stop(request)).await?.job;
        Ok(Some(job).filter(|job| !job.is_empty()))
    }

    /// Starts the job that has the processes of a workspace run again that is stopped or asleep, and gives the job's
    /// id. `None`: they run already.
    ///
    /// # Errors
    ///
    /// [`Kind::Conflict`](crate::Kind::Conflict) when a job is in the way.
    pub async fn start_again(&self, email: &str, project: Option<&str>) -> Result<Option<String>> {
        let request = pb::StartRequest {
            workspace: Some(reference(email, project)),
        };
        let job = self.answer(self.workspaces().start(request)).await?.job;
        Ok(Some(job).filter(|job| !job.is_empty()))
    }

    /// Asks, for a visitor who was not answered, whether the workspace or stage `PROJECT.NAME` can be asked now. One
    /// that is asleep is woken first, which takes up to a minute.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn visit(&self, unit: &str) -> Result<Visited> {
        let request = pb::VisitRequest {
            unit: unit.to_owned(),
        };
        let mut workspaces = self.workspaces();
        let answer = self
            .answer_within(VISIT_LIMIT, workspaces.visit(request))
            .await?;
        Ok(answer.outcome().into())
    }

    /// Starts the job that brings a workspace up to date and follows its processes by new ones, and gives the
    /// job's id.
    ///
    /// # Errors
    ///
    /// [`Kind::Conflict`](crate::Kind::Conflict) when a job is in the way.
    pub async fn deploy(&self, email: &str, project: Option<&str>) -> Result<String> {
        let request = pb::DeployRequest {
            workspace: Some(reference(email, project)),
        };
        Ok(self.answer(self.workspaces().deploy(request)).await?.job)
    }

    /// Starts the job that gives developer and group access to the workspace's
    /// files once more, and gives the job's id.
    ///
    /// # Errors
    ///
    /// [`Kind::Conflict`](crate::Kind::Conflict) when a job is in the way.
    pub async fn repair_access(&self, email: &str, project: Option<&str>) -> Result<String> {
        let request = pb::RepairAccessRequest {
            workspace: Some(reference(email, project)),
        };
        Ok(self
            .answer(self.workspaces().repair_access(request))
            .await?
            .job)
    }

    /// What a workspace's processes wrote, and with `follow` what they go on to write.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn logs(
        &self,
        email: &str,
        project: Option<&str>,
        options: LogOptions,
    ) -> Result<Stream<LogLine>> {
        let request = pb::LogsRequest {
            workspace: Some(reference(email, project)),
            process: options.process.unwrap_or_default(),
            follow: options.follow,
            lines: options.lines,
            after: options.after.map(|place| pb::LogPlace {
                file: place.file,
                offset: place.offset,
            }),
        };
        self.stream(self.workspaces().logs(request)).await
    }

    /// Runs a command in the workspace, as its user and without a shell; on a
    /// `terminal` no command means a shell. `input` is what the command reads; its
    /// end is the end of the command's input, and a terminal hangs up.
    ///
    /// # Errors
    ///
    /// As every call; a command that ends with a status other than 0 is no error.
    pub async fn run(
        &self,
        email: &str,
        project: Option<&str>,
        command: Vec<String>,
        terminal: Option<Terminal>,
        input: impl futures::Stream<Item = RunInput> + Send + 'static,
    ) -> Result<Stream<RunOutput>> {
        let terminal = terminal.map(|terminal| pb::Terminal {
            name: terminal.name,
            size: Some(window_size(terminal.size)),
        });
        let start = Message::Start(pb::RunStart {
            workspace: Some(reference(email, project)),
            command,
            terminal,
        });
        let message = |input| match input {
            RunInput::Bytes(bytes) => Message::Stdin(bytes),
            RunInput::Size(size) => Message::WindowSize(window_size(size)),
        };
        let requests = stream::once(async { start })
            .chain(input.map(message))
            .chain(stream::once(async { Message::StdinClosed(true) }))
            .map(|message| pb::RunRequest {
                message: Some(message),
            });
        self.stream(self.workspaces().run(requests)).await
    }

    /// Runs one of the project's tests in a workspace, counted from 1, without input.
    ///
    /// # Errors
    ///
    /// As [`Client::run`]; [`Kind::NotFound`](crate::Kind::NotFound) when the project has no such test.
    pub async fn run_test(
        &self,
        email: &str,
        project: Option<&str>,
        test: u32,
    ) -> Result<Stream<RunOutput>> {
        let request = pb::TestRequest {
            workspace: Some(reference(email, project)),
            number: test,
        };
        self.stream(self.workspaces().test(request)).await
    }
}

fn window_size(size: TerminalSize) -> pb::WindowSize {
    pb::WindowSize {
        rows: size.rows.into(),
        columns: size.columns.into(),
    }
}

fn reference(email: &str, project: Option<&str>) -> pb::WorkspaceRef {
    pb::WorkspaceRef {
        email: email.to_owned(),
        project: project.unwrap_or_default().to_owned(),
    }
}
