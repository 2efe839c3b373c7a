//! A daemon that does nothing but answer, over a real Unix socket. Tests and the preview put
//! into it what it shall tell.

#[path = "fake_delivery.rs"]
mod delivery;
#[path = "fake_people.rs"]
mod people;
#[path = "fake_work.rs"]
mod work;

use cid_proto::v1::{
    self as pb, builds_server, event::What, jobs_server, people_server, projects_server,
    stages_server, system_server, workspaces_server,
};
use futures::{Stream, StreamExt, stream};
use std::{
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::UnixListener, sync::watch};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the daemon knows.
#[derive(Default)]
pub struct World {
    pub projects: Vec<pb::Project>,
    pub workspaces: Vec<pb::Workspace>,
    pub jobs: Vec<pb::Job>,
    pub events: Vec<pb::Event>,
    /// Without a session, calls are refused.
    pub asks_to_sign_in: bool,
    /// Who is signed in, by the token of their session.
    pub people: Vec<(String, pb::Person)>,
    /// Links can be asked for by mail.
    pub can_mail: bool,
    /// What the process `web` wrote.
    pub log: Vec<String>,
    /// What a delete would lose.
    pub work: Vec<pb::LostWork>,
    /// Where the clones stand.
    pub standing: Option<pb::Standing>,
    pub stages: Vec<pb::Stage>,
    pub builds: Vec<pb::Build>,
    /// What the doctor finds.
    pub findings: Vec<pb::Finding>,
    pub audit: Vec<pb::AuditLine>,
    pub signed_in: Vec<pb::SignedIn>,
    /// What visitors of a workspace that does not answer can do.
    pub visited: pb::visit_response::Outcome,
    /// What was asked for that changes something, or is not for everybody to see.
    pub acts: Vec<String>,
}

#[derive(Clone)]
pub struct Fake {
    world: Arc<Mutex<World>>,
    changed: watch::Sender<()>,
}

impl Fake {
    /// Answers on this socket for as long as the runtime lives.
    pub fn start(socket: &Path) -> std::io::Result<Self> {
        let fake = Self {
            world: Arc::default(),
            changed: watch::Sender::new(()),
        };
        let incoming = UnixListenerStream::new(UnixListener::bind(socket)?);
        let server = Server::builder()
            .add_service(workspaces_server::WorkspacesServer::new(fake.clone()))
            .add_service(jobs_server::JobsServer::new(fake.clone()))
            .add_service(people_server::PeopleServer::new(fake.clone()))
            .add_service(projects_server::ProjectsServer::new(fake.clone()))
            .add_service(stages_server::StagesServer::new(fake.clone()))
            .add_service(builds_server::BuildsServer::new(fake.clone()))
            .add_service(system_server::SystemServer::new(fake.clone()))
            .serve_with_incoming(incoming);
        tokio::spawn(server);
        Ok(fake)
    }

    /// Changes what the daemon knows.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world());
        self.changed.send_replace(());
    }

    fn job_of(&self, id: &str) -> Result<pb::Job, Status> {
        let world = self.world();
        let job = world.jobs.iter().find(|job| job.id == id).cloned();
        job.ok_or_else(|| Status::not_found("there is no such job"))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Adds a line to a job's journal and brings the job's own picture up to date.
    pub fn journal(&mut self, job: &str, what: What) {
        let seq = self.events.iter().filter(|e| e.job == job).count() as u64 + 1;
        if let Some(job) = self.jobs.iter_mut().find(|j| j.id == job) {
            match &what {
                What::JobState(state) => job.state = *state,
                What::Step(step) => {
                    if let Some(own) = job.steps.get_mut(step.index as usize) {
                        own.state = step.state;
                        own.took = step.took;
                    }
                }
                What::Waiting(event) => job.waiting.clone_from(&event.waiting),
                What::Output(_) | What::Note(_) => {}
            }
        }
        self.events.push(pb::Event {
            job: job.to_owned(),
            seq,
            at: Some(pb_time(1_700_000_000 + seq as i64)),
            what: Some(what),
            failed_step: None,
        });
    }
}

pub fn project(name: &str) -> pb::Project {
    pb::Project {
        name: name.to_owned(),
        domain: format!("{name}.example.org"),
        git_url: format!("git@git.example.org:team/{name}.git"),
        base_branch: "main".to_owned(),
        work_dir: format!("/srv/cid/{name}"),
        deploy_user: "deploy".to_owned(),
        ..Default::default()
    }
}

pub fn workspace(email: &str, project: &str, state: pb::WorkspaceState) -> pb::Workspace {
    let name = email.replace('@', "---").replace('.', "-");
    pb::Workspace {
        email: email.to_owned(),
        project: project.to_owned(),
        state: state.into(),
        health: pb::Health::Up.into(),
        url: format!("http://{name}.{project}.example.org/"),
        port: 20001,
        directory: format!("/srv/cid/{project}/{name}"),
        branch: name.clone(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        created_at: Some(pb_time(1_700_000_000)),
        job: "job-1".to_owned(),
        creator: "anna".to_owned(),
        name,
        ..pb::Workspace::default()
    }
}

pub fn job(id: &str, email: &str, project: &str, state: pb::JobState) -> pb::Job {
    let labels = [
        "reserve a name and a port",
        "fetch the repository",
        "clone the repository",
        "write the configuration",
        "install the dependencies",
        "run the release commands",
        "start the processes",
        "publish the address",
        "push the branch",
    ];
    let step = |(index, label): (usize, &&str)| pb::Step {
        index: index as u32,
        kind: format!("step{index}.v1"),
        label: (*label).to_owned(),
        state: pb::StepState::Planned.into(),
        took: None,
        idle: false,
        stays: false,
    };
    pb::Job {
        id: id.to_owned(),
        kind: pb::JobKind::Create.into(),
        state: state.into(),
        email: email.to_owned(),
        project: project.to_owned(),
        name: email.replace('@', "---").replace('.', "-"),
        steps: labels.iter().enumerate().map(step).collect(),
        created_at: Some(pb_time(1_700_000_000)),
        ..Default::default()
    }
}

pub fn pb_time(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

pub fn step(index: u32, state: pb::StepState, millis: Option<i64>) -> What {
    What::Step(pb::StepEvent {
        index,
        state: state.into(),
        label: "a step".to_owned(),
        took: millis.map(|millis| prost_types::Duration {
            seconds: millis / 1000,
            nanos: (millis % 1000 * 1_000_000) as i32,
        }),
        idle: false,
    })
}

pub fn job_state(state: pb::JobState) -> What {
    What::JobState(state.into())
}

/// An `ALREADY_EXISTS` as the daemon sends it: `google.rpc.Status` with one detail.
fn exists(existing: &pb::Workspace) -> Status {
    use prost::Message;
    let message = format!("{} has a workspace already", existing.email);
    let detail = pb::ConflictDetail {
        url: existing.url.clone(),
        ..Default::default()
    };
    let status = tonic_types::Status {
        code: tonic::Code::AlreadyExists.into(),
        message: message.clone(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/cid.v1.ConflictDetail".to_owned(),
            value: detail.encode_to_vec(),
        }],
    };
    let details = status.encode_to_vec().into();
    Status::with_details(tonic::Code::AlreadyExists, message, details)
}

#[tonic::async_trait]
impl workspaces_server::Workspaces for Fake {
    async fn create(&self, request: Request<pb::CreateRequest>) -> Answer<pb::CreateResponse> {
        self.person(&request)?;
        let pb::CreateRequest {
            workspace: wanted,
            base,
        } = request.into_inner();
        let wanted = wanted.unwrap_or_default();
        if !wanted.email.contains('@') {
            let sentence = "cannot use this as an e-mail address: it has no @";
            let details = ErrorDetails::with_bad_request_violation("workspace.email", sentence);
            let code = tonic::Code::InvalidArgument;
            return Err(Status::with_error_details(code, sentence, details));
        }
        let mut world = self.world();
        let existing = |w: &&pb::Workspace| w.email == wanted.email;
        if let Some(existing) = world.workspaces.iter().find(existing) {
            return Err(exists(existing));
        }
        let project = match wanted.project.as_str() {
            "" => world
                .projects
                .first()
                .map(|p| p.name.clone())
                .unwrap_or_default(),
            name => name.to_owned(),
        };
        let made = workspace(&wanted.email, &project, pb::WorkspaceState::Creating);
        if !base.is_empty() {
            world.acts.push(format!("create from {base}"));
        }
        let id = format!("job-{}", world.jobs.len() + 1);
        world.workspaces.push(made.clone());
        world
            .jobs
            .push(job(&id, &wanted.email, &project, pb::JobState::Running));
        Ok(Response::new(pb::CreateResponse {
            workspace: Some(made),
            job: id,
        }))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Answer<pb::GetResponse> {
        self.person(&request)?;
        let wanted = request.into_inner().workspace.unwrap_or_default();
        let world = self.world();
        let mut all = world.workspaces.iter();
        let workspace = all
            .find(|w| w.email == wanted.email && w.project == wanted.project)
            .cloned()
            .ok_or_else(|| Status::not_found("there is no such workspace"))?;
        Ok(Response::new(pb::GetResponse {
            standing: world.standing.clone(),
            workspace: Some(workspace),
        }))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Answer<pb::ListResponse> {
        self.person(&request)?;
        let project = request.into_inner().project;
        let world = self.world();
        let all = world.workspaces.iter();
        let workspaces = all.filter(|w| project.is_empty() || w.project == project);
        Ok(Response::new(pb::ListResponse {
            workspaces: workspaces.cloned().collect(),
            next_page_token: String::new(),
        }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer<pb::DeleteResponse> {
        self.remove(&request)
    }

    async fn restart(&self, request: Request<pb::RestartRequest>) -> Answer<pb::RestartResponse> {
        let at = request.get_ref().workspace.clone().unwrap_or_default();
        self.act(&request, &at.email, "restart".into())?;
        let job = self.begin(&at.email, &at.project);
        Ok(Response::new(pb::RestartResponse { job }))
    }

    async fn stop(&self, request: Request<pb::StopRequest>) -> Answer<pb::StopResponse> {
        let at = request.get_ref().workspace.clone().unwrap_or_default();
        let what = if request.get_ref().sleep {
            "sleep"
        } else {
            "stop"
        };
        self.act(&request, &at.email, what.into())?;
        let job = self.begin(&at.email, &at.project);
        Ok(Response::new(pb::StopResponse { job }))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Answer<pb::StartResponse> {
        let at = request.get_ref().workspace.clone().unwrap_or_default();
        self.act(&request, &at.email, "start".into())?;
        let job = self.begin(&at.email, &at.project);
        Ok(Response::new(pb::StartResponse { job }))
    }

    async fn visit(&self, request: Request<pb::VisitRequest>) -> Answer<pb::VisitResponse> {
        let unit = request.into_inner().unit;
        let outcome = {
            let mut world = self.world();
            world.acts.push(format!("visit {unit}"));
            world.visited.into()
        };
        // Others come meanwhile.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Ok(Response::new(pb::VisitResponse { outcome }))
    }

    async fn deploy(&self, request: Request<pb::DeployRequest>) -> Answer<pb::DeployResponse> {
        let at = request.get_ref().workspace.clone().unwrap_or_default();
        self.act(&request, &at.email, "deploy".into())?;
        let job = self.begin(&at.email, &at.project);
        Ok(Response::new(pb::DeployResponse { job }))
    }

    async fn logs(&self, request: Request<pb::LogsRequest>) -> Answer<Answers<pb::LogsResponse>> {
        self.read(&request)
    }

    async fn test(&self, request: Request<pb::TestRequest>) -> Answer<Answers<pb::RunResponse>> {
        self.try_out(&request)
    }
}

#[tonic::async_trait]
impl jobs_server::Jobs for Fake {
    async fn get(&self, request: Request<pb::GetJobRequest>) -> Answer<pb::GetJobResponse> {
        self.person(&request)?;
        let job = Some(self.job_of(&request.into_inner().id)?);
        Ok(Response::new(pb::GetJobResponse { job }))
    }

    async fn list(&self, request: Request<pb::ListJobsRequest>) -> Answer<pb::ListJobsResponse> {
        self.person(&request)?;
        let asked = request.into_inner();
        let world = self.world();
        let jobs = world.jobs.iter().rev();
        let jobs = jobs.filter(|job| asked.email.is_empty() || job.email == asked.email);
        Ok(Response::new(pb::ListJobsResponse {
            jobs: jobs.take(asked.page_size as usize).cloned().collect(),
            next_page_token: String::new(),
        }))
    }

    async fn watch(
        &self,
        request: Request<pb::WatchJobRequest>,
    ) -> Answer<Answers<pb::WatchJobResponse>> {
        self.person(&request)?;
        let request = request.into_inner();
        if !self.world().jobs.iter().any(|j| j.id == request.id) {
            return Err(Status::not_found("there is no such job"));
        }
        let from = (self.clone(), self.changed.subscribe(), request);
        let events = stream::unfold(from, |(fake, mut changed, mut request)| async move {
            loop {
                changed.mark_unchanged();
                let (next, at_rest) = {
                    let world = fake.world();
                    let mut own = world.events.iter().filter(|e| e.job == request.id);
                    let next = own.find(|e| e.seq > request.after_seq).cloned();
                    let mut jobs = world.jobs.iter();
                    (next, jobs.any(|j| j.id == request.id && j.state >= 4))
                };
                if let Some(event) = next {
                    request.after_seq = event.seq;
                    let answer = pb::WatchJobResponse { event: Some(event) };
                    return Some((Ok(answer), (fake, changed, request)));
                }
                if at_rest || changed.changed().await.is_err() {
                    return None;
                }
            }
        });
        Ok(Response::new(events.boxed()))
    }

    async fn cancel(
        &self,
        request: Request<pb::CancelJobRequest>,
    ) -> Answer<pb::CancelJobResponse> {
        let job = self.job_of(&request.get_ref().id)?;
        self.act(&request, &job.email, format!("cancel {}", job.id))?;
        Ok(Response::new(pb::CancelJobResponse { job: Some(job) }))
    }

    async fn retry(&self, request: Request<pb::RetryJobRequest>) -> Answer<pb::RetryJobResponse> {
        let job = self.job_of(&request.get_ref().id)?;
        self.act(&request, &job.email, format!("retry {}", job.id))?;
        Ok(Response::new(pb::RetryJobResponse { job: Some(job) }))
    }
}

#[tonic::async_trait]
impl projects_server::Projects for Fake {
    async fn list(
        &self,
        request: Request<pb::ListProjectsRequest>,
    ) -> Answer<pb::ListProjectsResponse> {
        self.person(&request)?;
        Ok(Response::new(pb::ListProjectsResponse {
            projects: self.world().projects.clone(),
            next_page_token: String::new(),
        }))
    }

    async fn get(&self, request: Request<pb::GetProjectRequest>) -> Answer<pb::GetProjectResponse> {
        self.person(&request)?;
        let name = request.into_inner().name;
        let project = self
            .world()
            .projects
            .iter()
            .find(|p| p.name == name)
            .cloned();
        match project {
            Some(project) => Ok(Response::new(pb::GetProjectResponse {
                project: Some(project),
            })),
            None => Err(Status::not_found("there is no such project")),
        }
    }

    async fn hooks(&self, _: Request<pb::ProjectHooksRequest>) -> Answer<pb::ProjectHooksResponse> {
        Ok(Response::new(pb::ProjectHooksResponse::default()))
    }
}
