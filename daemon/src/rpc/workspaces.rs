//! Service `Workspaces`.

use super::{
    convert::{self, Users},
    email, logs, page_size, run, take_claim,
    work::{self, RemoteNow},
};
use crate::{
    authz::{Claim, Permit},
    cid::{Cid, streams::Kind},
    config::{Project, Projects},
    domain::{Account, JobKind, Name, Workspace, WorkspaceState},
    engine::{Plan, Submission},
    error::{self, Error},
    health::{Health, Seen},
    plan::{self, BranchChoice, Facts, Looked},
    store::{Quota, Subject},
    system::{procs, supervisor::Process, tls::Certificates},
};
use cid_kernel::room::{self, Shortage};
use cid_proto::v1::{self, workspaces_server::Workspaces};
use futures::stream::BoxStream;
use std::{ops::RangeInclusive, sync::Arc, time::Duration};
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

/// How long an answer about one workspace may wait for its page.
const SHOW_LIMIT: Duration = Duration::from_secs(3);
/// The same for an answer about all workspaces. A later page is known to the next caller.
const LIST_LIMIT: Duration = Duration::from_millis(150);
/// What can be done with a workspace whose project has no file.
const NOTHING_ELSE: &str = "without it a workspace can be shown, run commands and be deleted";

/// The accounts of workspaces.
pub(crate) struct AccountRange(Option<RangeInclusive<u32>>);

impl AccountRange {
    /// The account of one workspace; `None` in a sandbox, and if the range is used up.
    pub(crate) fn of(&self, workspace: &Workspace) -> Option<Account> {
        Account::of(workspace.id, self.0.as_ref()?)
    }
}

impl Cid {
    /// The accounts of all workspaces.
    pub(crate) fn account_range(&self) -> AccountRange {
        let uids = self.settings.workspace_uids.0.clone();
        AccountRange(self.sys.accounts.is_some().then_some(uids))
    }
}

#[tonic::async_trait]
impl Workspaces for Cid {
    async fn create(
        &self,
        request: Request<v1::CreateRequest>,
    ) -> Result<Response<v1::CreateResponse>, Status> {
        let claim = take_claim(&request)?;
        let reference = request.into_inner().workspace.unwrap_or_default();
        let email = email(&reference)?;
        let project = self.project(&reference)?;
        let subject = self.subject(&project.name, &email, None, None);
        let permit = claim.bind(subject).await?;
        // It may have been removed while a person typed a password.
        let _turn = self.turns.creating.read().await;
        let project = self.project(&reference)?;
        refuse_bad_certificate(&project).await?;
        let work_dir = Projects::work_dir(&project, &self.layout.work_root);
        self.refuse_full_disk(&project)?;
        let (layout, settings, site) = (
            Arc::clone(&self.layout),
            Arc::clone(&self.settings),
            Arc::clone(&self.sys.site),
        );
        let planned = Arc::clone(&project);
        let accounts = self.account_range();
        let limits = project.limits.over(&self.settings.limits);
        let quota = Quota {
            in_all: limits.workspaces.get(),
            per_project: limits.workspaces_per_project.get(),
            per_creator: limits.workspaces_per_creator.get(),
        };
        let creator = permit.creator(&email);
        let submission = Submission {
            kind: JobKind::Create,
            subject: Box::new(move |job| {
                let names = Name::candidates(&email).collect();
                let make = move |name: &Name| Workspace {
                    id: 0,
                    email: email.clone(),
                    project: project.name.clone(),
                    name: name.clone(),
                    state: WorkspaceState::Creating,
                    port: None,
                    directory: work_dir.join(name.as_str()),
                    branch: project.branch_for(name),
                    url: site.url(&project.host_for(name), project.tls.is_some()),
                    commit: None,
                    deployment: 0,
                    created_at: jiff::Timestamp::now(),
                    job,
                    creator: creator.clone(),
                };
                Subject::New {
                    names,
                    quota,
                    make: Box::new(make),
                }
            }),
            plan: Box::new(move |workspace| {
                plan::create(&Facts {
                    layout: &layout,
                    settings: &settings,
                    project: &planned,
                    workspace,
                    account: accounts.of(workspace),
                })
            }),
        };
        let (workspace, job) = self.submit(permit, submission).await?;
        let workspace = convert::workspace(&workspace, Health::default(), &mut Users::default());
        let workspace = Some(workspace);
        Ok(Response::new(v1::CreateResponse {
            workspace,
            job: job.to_string(),
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let request = request.into_inner();
        let workspace = self.resolve(request.workspace).await?;
        let mut looked = self.health.look(&[&workspace], SHOW_LIMIT).await;
        let Seen { health, processes } = looked.pop().unwrap_or_default();
        let memory = memory_of(&processes).await;
        let standing = match request.look {
            true => self.standing(&workspace).await,
            false => None,
        };
        let mut message = convert::workspace(&workspace, health, &mut Users::default());
        let shown = processes.iter().zip(memory);
        message.processes = shown
            .map(|(process, memory)| convert::process(process, memory))
            .collect();
        Ok(Response::new(v1::GetResponse {
            standing,
            workspace: Some(message),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size, 100)?;
        let after = match request.page_token.as_str() {
            "" => 0,
            token => token
                .parse()
                .map_err(|_| Error::invalid("page_token", "this is no page token of cid's"))?,
        };
        let project = match request.project.as_str() {
            "" => None,
            name => Some(self.known_project(name).await?),
        };
        let page = self
            .store
            .workspaces(project, after, limit)
            .await
            .map_err(Error::from)?;
        let all: Vec<&Workspace> = page.iter().collect();
        let looked = self.health.look(&all, LIST_LIMIT).await;
        let mut users = Users::default();
        let workspaces = page
            .iter()
            .zip(looked)
            .map(|(workspace, looked)| convert::workspace(workspace, looked.health, &mut users));
        let workspaces = workspaces.collect();
        let next_page_token = match page.last() {
            Some(last) if page.len() == limit => last.id.to_string(),
            _ => String::new(),
        };
        Ok(Response::new(v1::ListResponse {
            workspaces,
            next_page_token,
        }))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        let claim = take_claim(&request)?;
        let request = request.into_inner();
        if request.force && !request.with_branch {
            return Err(Error::invalid("force", "--force goes with --with-branch").into());
        }
        let workspace = self.resolve(request.workspace).await?;
        let permit = self.bind(claim, &workspace).await?;
        let branch = match request.with_branch {
            true => Some(BranchChoice {
                project: self.project_of(&workspace, "leave --with-branch away")?,
                force: request.force,
            }),
            false => None,
        };
        if let Some(job) = self
            .store
            .live_job(workspace.id)
            .await
            .map_err(Error::from)?
        {
            return Err(Error::JobInTheWay {
                job: job.id,
                kind: job.kind,
            }
            .into());
        }
        // The look needs a little space too.
        self.store.ensure_room();
        room::of_units(&self.layout.run_dir).ensure_room();
        let remote = RemoteNow::new(self, &workspace);
        let judged = work::judged(&request.looked);
        let report = match request.discard {
            true => None,
            false => Some(self.refuse_losing_work(&remote, judged).await?),
        };
        // After a look the job's own check is enough: it runs before anything changes.
        let has_looked = judged.is_some() && !request.look;
        if let Some(branch) = branch.as_ref().filter(|one| !one.force && !has_looked) {
            self.refuse_losing_commits(&remote, &branch.project).await?;
        }
        let files = report.as_ref().map(|report| error::files(&report.files));
        if request.look {
            return Ok(Response::new(v1::DeleteResponse {
                job: String::new(),
                files,
                looked: report.as_ref().map(work::looked).unwrap_or_default(),
            }));
        }
        let looked = report.map(|report| Looked {
            project: self.projects.get(workspace.project.as_str()).ok(),
            judged: report.fingerprint,
        });
        let (layout, accounts) = (Arc::clone(&self.layout), self.account_range());
        let submission = Submission {
            kind: JobKind::Delete,
            subject: Box::new(move |_| {
                Subject::Existing(Box::new(workspace), WorkspaceState::Deleting)
            }),
            plan: Box::new(move |workspace| {
                let account = accounts.of(workspace);
                plan::delete(
                    &layout,
                    workspace,
                    branch.as_ref(),
                    looked.as_ref(),
                    account,
                )
            }),
        };
        let (_, job) = self.submit(permit, submission).await?;
        Ok(Response::new(v1::DeleteResponse {
            job: job.to_string(),
            files,
            looked: String::new(),
        }))
    }

    async fn restart(
        &self,
        request: Request<v1::RestartRequest>,
    ) -> Result<Response<v1::RestartResponse>, Status> {
        let claim = take_claim(&request)?;
        let (_, job) = self
            .begin(
                claim,
                request.into_inner().workspace,
                JobKind::Restart,
                plan::restart,
            )
            .await?;
        Ok(Response::new(v1::RestartResponse {
            job: job.to_string(),
        }))
    }

    async fn repair_access(
        &self,
        request: Request<v1::RepairAccessRequest>,
    ) -> Result<Response<v1::RepairAccessResponse>, Status> {
        let claim = take_claim(&request)?;
        let (kind, plan) = (JobKind::RepairAccess, plan::repair_access);
        let reference = request.into_inner().workspace;
        let (_, job) = self.begin(claim, reference, kind, plan).await?;
        Ok(Response::new(v1::RepairAccessResponse {
            job: job.to_string(),
        }))
    }

    type LogsStream = BoxStream<'static, Result<v1::LogsResponse, Status>>;

    async fn logs(
        &self,
        request: Request<v1::LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let claim = take_claim(&request)?;
        let request = request.into_inner();
        let workspace = self.resolve(request.workspace.clone()).await?;
        let permit = self.bind(claim, &workspace).await?;
        let dir = self.layout.app_log_dir(&workspace.unit());
        let place = self.streams.begin(permit.uid(), Kind::Logs)?;
        let wanted = logs::Wanted {
            process: request.process,
            lines: request.lines,
            follow: request.follow,
        };
        let stopping = self.stopping.clone();
        let stream = logs::stream(&permit, place, &dir, &wanted, stopping)?;
        Ok(Response::new(Box::pin(stream)))
    }

    type RunStream = ReceiverStream<Result<v1::RunResponse, Status>>;

    async fn run(
        &self,
        request: Request<Streaming<v1::RunRequest>>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let claim = take_claim(&request)?;
        Ok(Response::new(
            run::run(self, claim, request.into_inner()).await?,
        ))
    }
}

/// Reports a bad certificate before anything is begun.
async fn refuse_bad_certificate(project: &Project) -> Result<(), Error> {
    match Certificates::read(project).await {
        Ok(_) => Ok(()),
        Err(fault) => Err(Error::Precondition {
            message: format!("the project {} cannot be used: {fault}", project.name),
            hint: fault.hint,
        }),
    }
}

/// The memory of each process and its descendants, in bytes; 0 if it does not run.
async fn memory_of(processes: &[Process]) -> Vec<u64> {
    let pids: Vec<Option<u32>> = processes.iter().map(|process| process.pid).collect();
    let count = pids.len();
    let memory = spawn_blocking(move || procs::memory_of(&pids)).await;
    memory.unwrap_or_else(|_| vec![0; count])
}

impl Cid {
    /// Submits a job and records its id for the audit log.
    async fn submit(
        &self,
        permit: Permit,
        submission: Submission,
    ) -> Result<(Workspace, Uuid), Error> {
        let call = permit.call();
        let (workspace, job) = self.engine.submit(permit, submission).await?;
        call.began(&workspace, job);
        Ok((workspace, job))
    }

    /// Starts a job that does not change its workspace's state.
    async fn begin(
        &self,
        claim: Claim,
        reference: Option<v1::WorkspaceRef>,
        kind: JobKind,
        plan: fn(&Facts<'_>) -> Plan,
    ) -> Result<(Workspace, Uuid), Error> {
        let workspace = self.resolve(reference).await?;
        let permit = self.bind(claim, &workspace).await?;
        let project = self.project_of(&workspace, NOTHING_ELSE)?;
        let (layout, settings) = (Arc::clone(&self.layout), Arc::clone(&self.settings));
        let (state, accounts) = (workspace.state, self.account_range());
        let submission = Submission {
            kind,
            subject: Box::new(move |_| Subject::Existing(Box::new(workspace), state)),
            plan: Box::new(move |workspace| {
                plan(&Facts {
                    layout: &layout,
                    settings: &settings,
                    project: &project,
                    workspace,
                    account: accounts.of(workspace),
                })
            }),
        };
        self.submit(permit, submission).await
    }

    /// The project of an existing workspace, for operations that need the project's file. `otherwise` says
    /// what is possible without it.
    ///
    /// # Errors
    /// The file is gone or bad.
    fn project_of(&self, workspace: &Workspace, otherwise: &str) -> Result<Arc<Project>, Error> {
        let name = workspace.project.as_str();
        if self.projects.all().contains_key(name) {
            return self.projects.get(name);
        }
        let file = self.projects.file_of(&workspace.project);
        Err(Error::Precondition {
            message: format!("the project {name} has no file any more"),
            hint: Some(format!("restore {}; {otherwise}", file.display())),
        })
    }

    /// A job begun on a full disk would only have to be undone.
    fn refuse_full_disk(&self, project: &Project) -> Result<(), Error> {
        let work_dir = Projects::work_dir(project, &self.layout.work_root);
        let places = self.layout.places(&project.name, &work_dir);
        let why = match room::shortage(&places, self.settings.min_free_mib) {
            Some(shortage) => shortage.to_string(),
            // Without it a job that fills the disk could not even be undone.
            None if !self.store.renew_reserve() => format!(
                "the disk of {} is full: there is no space to keep aside for taking it back",
                self.layout.state_dir.display()
            ),
            None if self.sys.accounts.is_some() && !self.has_units() => format!(
                "the disk of {} is full: systemd could start no helper",
                self.layout.run_dir.display()
            ),
            None => return Ok(()),
        };
        Err(Error::Exhausted {
            message: format!("cannot make a workspace: {why}"),
            hint: Some(Shortage::HINT.into()),
        })
    }

    /// Whether helpers can be started now, and later to undo everything.
    fn has_units(&self) -> bool {
        room::of_units(&self.layout.run_dir).renew()
            && room::has_room_for_units(&self.layout.run_dir)
    }
}
