//! A daemon made up for tests. What it does hangs on the address or the job it
//! is asked about; it can be killed in the middle of everything and started again.

use crate::messages::{conflict, job, journal, refuse, workspace};
use cid_proto::v1 as pb;
use futures::{Stream, StreamExt as _, stream};
use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::UnixListener, runtime::Runtime};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status, Streaming, transport::Server};

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub const URL: &str = "http://anna---example-com.pressa.localhost";

/// What the daemon remembers across a restart, and what tests turn.
#[derive(Default)]
pub struct Memory {
    /// Each `Watch` since the beginning: its `after_seq`.
    pub watched_after: Vec<u64>,
    /// How often `Create` was called.
    pub creates: u32,
    /// Watching gives no event after this one, and does not end.
    pub silent_after: Option<u64>,
    /// `Create` remembers the workspace, but does not answer.
    pub swallows_create: bool,
    /// When the workspace was created, and its job, that `Create` finds there already.
    pub created_at: Option<pb_time::Time>,
    /// The live job that `Create` then says is in the way.
    pub in_the_way: String,
}

/// Times in the interface's own type.
pub mod pb_time {
    /// A time.
    pub type Time = prost_types::Timestamp;

    /// This very moment.
    pub fn now() -> Time {
        std::time::SystemTime::now().into()
    }
}

pub struct Daemon {
    pub socket: PathBuf,
    pub memory: Arc<Mutex<Memory>>,
    runtime: Option<Runtime>,
    _dir: TempDir,
}

impl Daemon {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut daemon = Self {
            socket: dir.path().join("cid.sock"),
            memory: Arc::default(),
            runtime: None,
            _dir: dir,
        };
        daemon.start_again();
        daemon
    }

    pub fn start_again(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let service = Service(self.memory.clone());
        let listener = runtime.block_on(async { UnixListener::bind(&self.socket).unwrap() });
        runtime.spawn(
            Server::builder()
                .add_service(pb::workspaces_server::WorkspacesServer::new(
                    service.clone(),
                ))
                .add_service(pb::jobs_server::JobsServer::new(service.clone()))
                .add_service(pb::projects_server::ProjectsServer::new(service.clone()))
                .add_service(pb::system_server::SystemServer::new(service))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        self.runtime = Some(runtime);
    }

    /// Ends it as `kill -9` would: no goodbye on any connection.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
        let _ = std::fs::remove_file(&self.socket);
    }

    pub fn wait_until(&self, what: impl Fn(&Memory) -> bool) {
        for _ in 0..1000 {
            if what(&self.memory.lock().unwrap()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not come to pass within 10 s");
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

#[derive(Clone)]
struct Service(Arc<Mutex<Memory>>);

#[tonic::async_trait]
impl pb::workspaces_server::Workspaces for Service {
    async fn create(&self, request: Request<pb::CreateRequest>) -> Answer<pb::CreateResponse> {
        let email = refuse(request.into_inner().workspace)?;
        let (is_there, swallows, in_the_way) = {
            let mut memory = self.0.lock().unwrap();
            memory.creates += 1;
            let is_there = memory.created_at.is_some();
            if memory.swallows_create && !is_there {
                memory.created_at = Some(pb_time::now());
            }
            (is_there, memory.swallows_create, memory.in_the_way.clone())
        };
        if is_there || email == "taken@example.com" {
            return Err(conflict(
                Code::AlreadyExists,
                "cannot create: anna@example.com has a workspace already",
                &pb::ConflictDetail {
                    job: in_the_way,
                    url: URL.into(),
                    ..Default::default()
                },
            ));
        }
        if swallows {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(pb::CreateResponse {
            workspace: Some(workspace(None)),
            job: email.split('@').next().unwrap().into(),
        }))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Answer<pb::GetResponse> {
        refuse(request.into_inner().workspace)?;
        let created_at = self.0.lock().unwrap().created_at;
        Ok(Response::new(pb::GetResponse {
            standing: None,
            workspace: Some(workspace(created_at)),
        }))
    }

    /// Three pages of one workspace each.
    async fn list(&self, request: Request<pb::ListRequest>) -> Answer<pb::ListResponse> {
        let page = request.into_inner().page_token.len();
        Ok(Response::new(pb::ListResponse {
            workspaces: vec![workspace(None)],
            next_page_token: if page < 2 {
                "x".repeat(page + 1)
            } else {
                String::new()
            },
        }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer<pb::DeleteResponse> {
        let request = request.into_inner();
        let email = refuse(request.workspace)?;
        if email == "dirty@example.com" && !request.discard {
            return Err(conflict(
                Code::FailedPrecondition,
                "cannot delete: work would be lost",
                &pb::ConflictDetail {
                    work: vec![pb::LostWork {
                        repository: "src".into(),
                        uncommitted: vec!["app/views.py".into()],
                        unpushed: vec!["a1b2c3d Fix it".into()],
                        ..Default::default()
                    }],
                    ..Default::default()
                },
            ));
        }
        Ok(Response::new(pb::DeleteResponse {
            looked: String::new(),
            job: "good".into(),
            files: None,
        }))
    }

    async fn repair_access(
        &self,
        request: Request<pb::RepairAccessRequest>,
    ) -> Answer<pb::RepairAccessResponse> {
        refuse(request.into_inner().workspace)?;
        Ok(Response::new(pb::RepairAccessResponse {
            job: "good".into(),
        }))
    }

    async fn restart(&self, request: Request<pb::RestartRequest>) -> Answer<pb::RestartResponse> {
        refuse(request.into_inner().workspace)?;
        Err(conflict(
            Code::Aborted,
            "cannot restart: a job is in the way",
            &pb::ConflictDetail {
                job: "good".into(),
                ..Default::default()
            },
        ))
    }

    async fn logs(&self, _: Request<pb::LogsRequest>) -> Answer<Answers<pb::LogsResponse>> {
        // More than a pipe holds, for readers that go away.
        let lines = stream::iter(0..20_000).map(|number| {
            Ok(pb::LogsResponse {
                process: "web".into(),
                line: format!("line {number}").into_bytes(),
                end: None,
            })
        });
        Ok(Response::new(lines.boxed()))
    }

    /// Echoes standard input, then ends with status 7.
    async fn run(
        &self,
        request: Request<Streaming<pb::RunRequest>>,
    ) -> Answer<Answers<pb::RunResponse>> {
        use pb::{run_request::Message as In, run_response::Message as Out};
        let answers = request.into_inner().filter_map(|message| async {
            let out = match message.ok()?.message? {
                In::Start(start) => Out::Stderr(start.command.join(" ").into_bytes()),
                In::Stdin(bytes) => Out::Stdout(bytes),
                In::StdinClosed(_) => Out::ExitStatus(7),
                In::WindowSize(_) => return None,
            };
            Some(Ok(pb::RunResponse { message: Some(out) }))
        });
        Ok(Response::new(answers.boxed()))
    }
}

#[tonic::async_trait]
impl pb::jobs_server::Jobs for Service {
    async fn get(&self, request: Request<pb::GetJobRequest>) -> Answer<pb::GetJobResponse> {
        Ok(Response::new(pb::GetJobResponse {
            job: Some(job(&request.into_inner().id)),
        }))
    }

    async fn list(&self, _: Request<pb::ListJobsRequest>) -> Answer<pb::ListJobsResponse> {
        let created_at = self.0.lock().unwrap().created_at;
        let jobs = created_at.map(|_| pb::Job {
            created_at,
            ..job("good")
        });
        Ok(Response::new(pb::ListJobsResponse {
            jobs: jobs.into_iter().collect(),
            next_page_token: String::new(),
        }))
    }

    async fn watch(
        &self,
        request: Request<pb::WatchJobRequest>,
    ) -> Answer<Answers<pb::WatchJobResponse>> {
        let request = request.into_inner();
        let silent_after = {
            let mut memory = self.0.lock().unwrap();
            memory.watched_after.push(request.after_seq);
            memory.silent_after
        };
        let events = journal(&request.id)
            .into_iter()
            .filter(move |event| event.seq > request.after_seq)
            .filter(move |event| silent_after.is_none_or(|last| event.seq <= last))
            .map(|event| Ok(pb::WatchJobResponse { event: Some(event) }));
        let events = stream::iter(events);
        Ok(Response::new(match silent_after {
            Some(_) => events.chain(stream::pending()).boxed(),
            None => events.boxed(),
        }))
    }

    async fn cancel(&self, _: Request<pb::CancelJobRequest>) -> Answer<pb::CancelJobResponse> {
        Err(Status::failed_precondition("cannot cancel: it has ended"))
    }

    async fn retry(&self, request: Request<pb::RetryJobRequest>) -> Answer<pb::RetryJobResponse> {
        Ok(Response::new(pb::RetryJobResponse {
            job: Some(job(&request.into_inner().id)),
        }))
    }
}

#[tonic::async_trait]
impl pb::projects_server::Projects for Service {
    async fn list(&self, _: Request<pb::ListProjectsRequest>) -> Answer<pb::ListProjectsResponse> {
        Ok(Response::new(pb::ListProjectsResponse::default()))
    }

    async fn get(&self, _: Request<pb::GetProjectRequest>) -> Answer<pb::GetProjectResponse> {
        Err(Status::not_found("cannot find the project"))
    }

    async fn check(
        &self,
        request: Request<pb::CheckProjectRequest>,
    ) -> Answer<pb::CheckProjectResponse> {
        let subject = match request.into_inner().name.as_str() {
            "" => "remote".into(),
            name => format!("{name}: remote"),
        };
        Ok(Response::new(pb::CheckProjectResponse {
            items: vec![pb::CheckItem {
                severity: pb::Severity::Error.into(),
                subject,
                message: "cannot be reached".into(),
                hint: "is the key right?".into(),
            }],
        }))
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveProjectRequest>,
    ) -> Answer<pb::RemoveProjectResponse> {
        let pb::RemoveProjectRequest { name, only_check } = request.into_inner();
        if only_check {
            return Ok(Response::new(pb::RemoveProjectResponse::default()));
        }
        Ok(Response::new(pb::RemoveProjectResponse {
            file: format!("/etc/cid/projects.d/{name}.toml.removed"),
            removed: vec!["its mirror".into()],
            kept: Vec::new(),
        }))
    }
}

#[tonic::async_trait]
impl pb::system_server::System for Service {
    async fn version(&self, _: Request<pb::VersionRequest>) -> Answer<pb::VersionResponse> {
        Ok(Response::new(pb::VersionResponse {
            version: "0.1.0".into(),
            mode: "sandbox".into(),
            front_url: String::new(),
        }))
    }

    /// One line, about an interactive client or another.
    async fn audit(&self, request: Request<pb::AuditRequest>) -> Answer<pb::AuditResponse> {
        let is_interactive = request.metadata().contains_key("cid-interactive");
        Ok(Response::new(pb::AuditResponse {
            lines: vec![pb::AuditLine {
                at: Some(pb_time::Time::default()),
                uid: 1000,
                account: "anna".into(),
                rpc: "/cid.v1.Workspaces/Delete".into(),
                email: "bert@example.com".into(),
                project: "shop".into(),
                decision: pb::Decision::Denied.into(),
                reason: if is_interactive { "dismissed" } else { "no" }.into(),
                outcome: "PERMISSION_DENIED".into(),
                ..Default::default()
            }],
            next_page_token: String::new(),
        }))
    }

    async fn prune(&self, _: Request<pb::PruneRequest>) -> Answer<pb::PruneResponse> {
        Ok(Response::new(pb::PruneResponse {
            unused: vec![pb::Unused {
                sort: "packages".into(),
                project: "shop".into(),
                path: "/var/lib/cid/environments/shop/key".into(),
                bytes: 3 << 20,
                kept: String::new(),
            }],
        }))
    }

    /// Drift that a repair mends.
    async fn doctor(&self, request: Request<pb::DoctorRequest>) -> Answer<pb::DoctorResponse> {
        Ok(Response::new(pb::DoctorResponse {
            findings: vec![
                pb::Finding {
                    kind: pb::FindingKind::Drift.into(),
                    subject: "vhost".into(),
                    message: "missing".into(),
                    repair: "write it again".into(),
                    repaired: request.into_inner().repair,
                },
                pb::Finding {
                    kind: pb::FindingKind::Note.into(),
                    subject: "packages".into(),
                    message: "kept for later".into(),
                    ..pb::Finding::default()
                },
            ],
        }))
    }
}
