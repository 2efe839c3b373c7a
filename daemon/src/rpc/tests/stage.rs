//! The services behind the enforcing layer on a made-up machine, and a valid request for each RPC about
//! a workspace.

use super::super::{Audit, audit, enforce::Enforce, server};
use crate::{
    authz::{
        Accounts, Authority, Caller, Decision, Door, Gate, Question, Right,
        table::{self, Action},
    },
    cid::{Cid, streams::Streams},
    config::{Projects, Settings, SignIn as Mode},
    engine::{Engine, NoHooks},
    health::Looker,
    layout::Layout,
    sign_in::SignIn,
    store::{AuditLine, Store},
    system::fake::Fake,
};
use async_trait::async_trait;
use cid_kernel::fs;
use cid_proto::v1::{self, RunStart, WorkspaceRef, run_request::Message};
use http_body_util::{BodyExt, Full};
use prost::Message as _;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service, ServiceExt};

pub(super) const EMAIL: &str = "anna@example.com";
/// Her account, as user 1000. It exists on every machine, as access lists need a real one.
pub(super) const ACCOUNT: &str = "nobody";

/// Denies some actions and remembers what it was asked. Can keep a user waiting for its answer.
#[derive(Default)]
pub(super) struct Judge {
    denies: Mutex<Vec<Action>>,
    pub(super) keeps_waiting: Mutex<Option<(u32, Arc<Notify>)>>,
    pub(super) asked: Mutex<Vec<(Action, Option<String>, bool)>>,
}

#[async_trait]
impl Authority for Judge {
    async fn admit(&self, _: &Caller) -> Decision {
        Decision::Allowed
    }

    async fn decide(&self, question: Question<'_>) -> Decision {
        let subject = question.subject.map(|(subject, _)| subject.to_string());
        let is_own = question.subject.is_some_and(|(_, is_own)| is_own);
        let asked = (question.action, subject, is_own);
        self.asked.lock().unwrap().push(asked);
        let waiting = self.keeps_waiting.lock().unwrap().clone();
        if let Some((uid, word)) = waiting
            && uid == question.call.caller.uid
        {
            word.notified().await;
        }
        if self.denies.lock().unwrap().contains(&question.action) {
            Decision::denied("the judge says no")
        } else {
            Decision::Allowed
        }
    }
}

pub(super) struct Stage {
    pub(super) cid: Cid,
    pub(super) judge: Arc<Judge>,
    pub(super) fake: Fake,
    gate: Gate,
    audit: Audit,
    writer: audit::Writer,
    _dir: tempfile::TempDir,
}

impl Stage {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::sandbox(dir.path()));
        for dir in [
            layout.projects_dir(),
            layout.run_file_dir(),
            layout.vhost_dir(),
            layout.program_dir(),
            layout.trash_dir(),
            layout.app_logs_dir(),
            layout.away_dir(),
            layout.work_root.join("demo/.trash"),
            layout.state_dir.join("packages/demo"),
            layout.state_dir.join("built/demo"),
        ] {
            fs::make_dir(&dir, 0o755).unwrap();
        }
        let project = format!(
            "domain = \"demo.localhost\"\n[git]\nurl = \"/srv/demo.git\"\n\
             [access.people]\n\"{EMAIL}\" = \"{ACCOUNT}\"\n"
        );
        std::fs::write(layout.projects_dir().join("demo.toml"), project).unwrap();
        let projects = Arc::new(Projects::load(&layout).unwrap());
        let store = Store::open(&layout.database()).unwrap();
        let fake = Fake::new(Arc::clone(&layout));
        let sys = fake.system();
        let settings = Arc::new(Settings::default());
        let engine = Engine::new(
            sys.clone(),
            store.clone(),
            Arc::clone(&projects),
            Arc::clone(&settings),
            Arc::new(NoHooks),
            crate::step::decode,
        );
        let judge = Arc::new(Judge::default());
        let accounts = Accounts::new(|uid| Ok((uid == 1000).then(|| ACCOUNT.to_owned())));
        let (audit, writer) = Audit::start(store.clone());
        Self {
            cid: Cid {
                health: Arc::new(Looker::new(sys.clone(), Arc::clone(&projects))),
                engine,
                sign_in: SignIn::new(store.clone(), Arc::clone(&settings), Mode::Open),
                store,
                sys,
                layout,
                settings,
                projects,
                mode: "sandbox",
                front_url: String::new(),
                prepare: |_, _| Box::pin(async { Vec::new() }),
                turns: Arc::default(),
                looks: Arc::default(),
                deliveries: Arc::default(),
                streams: Streams::default(),
                stopping: CancellationToken::new(),
            },
            gate: Gate::with_accounts(judge.clone(), accounts),
            judge,
            fake,
            audit,
            writer,
            _dir: dir,
        }
    }

    /// Has the project's file say this as well, `git` below [git] and `tables` after it.
    pub(super) fn says(&self, git: &str, tables: &str) {
        let project = format!(
            "domain = \"demo.localhost\"\n[git]\nurl = \"/srv/demo.git\"\n{git}\n\
             [access.people]\n\"{EMAIL}\" = \"{ACCOUNT}\"\n{tables}\n"
        );
        let file = self.cid.layout.projects_dir().join("demo.toml");
        std::fs::write(file, project).unwrap();
        self.cid.projects.reload().unwrap();
        assert!(self.cid.projects.get("demo").is_ok());
    }

    /// The real services' answer to a call by this user.
    pub(super) async fn call(&self, uid: u32, rpc: &str, message: &[u8]) -> Code {
        let services = server::routes(&self.cid);
        self.call_of(services, uid, rpc, message).await
    }

    pub(super) async fn call_of<S>(&self, inner: S, uid: u32, rpc: &str, message: &[u8]) -> Code
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let response = self.answer(inner, uid, Door::People, rpc, message).await;
        if let Some(status) = Status::from_header_map(response.headers()) {
            return status.code();
        }
        let body = response.into_body().collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        Status::from_header_map(&trailers).map_or(Code::Ok, |status| status.code())
    }

    /// The real services' refusal of a call by this user.
    pub(super) async fn refusal(&self, uid: u32, rpc: &str, message: &[u8]) -> Status {
        let services = server::routes(&self.cid);
        let response = self.answer(services, uid, Door::People, rpc, message).await;
        Status::from_header_map(response.headers()).unwrap()
    }

    /// The complete answer of the real services to a call through this door.
    pub(super) async fn said(&self, uid: u32, door: Door, rpc: &str, message: &[u8]) -> String {
        let services = server::routes(&self.cid);
        let response = self.answer(services, uid, door, rpc, message).await;
        let body = response.into_body().collect().await.unwrap();
        String::from_utf8_lossy(&body.to_bytes()).into_owned()
    }

    pub(super) async fn answer<S>(
        &self,
        inner: S,
        uid: u32,
        door: Door,
        rpc: &str,
        message: &[u8],
    ) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        self.answer_for(inner, uid, door, rpc, None, message).await
    }

    /// Likewise, on behalf of the person whose session this is.
    pub(super) async fn answer_for<S>(
        &self,
        inner: S,
        uid: u32,
        door: Door,
        rpc: &str,
        session: Option<&str>,
        message: &[u8],
    ) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let mut framed = vec![0];
        framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        framed.extend(message);
        let caller = Caller {
            uid,
            gid: uid,
            process: None,
            door,
        };
        let mut request = Request::post(rpc)
            .header("content-type", "application/grpc")
            .extension(caller);
        if let Some(session) = session {
            request = request.header("cid-session", session);
        }
        let request = request.body(Body::new(Full::new(framed.into()))).unwrap();
        let (gate, audit) = (self.gate.clone(), self.audit.clone());
        let (streams, sign_in) = (self.cid.streams.clone(), self.cid.sign_in.clone());
        let enforcer = Enforce::new(gate, audit, streams, sign_in).layer(inner);
        enforcer.oneshot(request).await.unwrap()
    }

    pub(super) fn deny(&self, actions: &[Action]) {
        *self.judge.denies.lock().unwrap() = actions.to_vec();
        self.judge.asked.lock().unwrap().clear();
    }

    /// The final audit log, oldest first.
    pub(super) async fn lines(self) -> Vec<AuditLine> {
        self.writer.finish().await;
        let mut lines = self.cid.store.audit(None, None, 100).await.unwrap();
        lines.reverse();
        lines
    }
}

pub(super) fn anna() -> Option<WorkspaceRef> {
    Some(WorkspaceRef {
        email: EMAIL.into(),
        project: String::new(),
    })
}

pub(super) fn create() -> Vec<u8> {
    v1::CreateRequest {
        workspace: anna(),
        ..Default::default()
    }
    .encode_to_vec()
}

/// A valid request for each RPC that needs a yes about a workspace, in the order of their files.
pub(super) fn requests(job: &str) -> Vec<(&'static str, Vec<u8>)> {
    let start = RunStart {
        workspace: anna(),
        command: vec!["true".into()],
        terminal: None,
    };
    let run = v1::RunRequest {
        message: Some(Message::Start(start)),
    };
    let test = v1::TestRequest {
        workspace: anna(),
        number: 1,
    };
    let cancel = v1::CancelJobRequest { id: job.to_owned() };
    let all = cid_proto::rpcs().into_iter().filter_map(|rpc| {
        let row = table::find(&rpc.path)?;
        let message = match row.rpc {
            "/cid.v1.Workspaces/Run" => run.encode_to_vec(),
            "/cid.v1.Workspaces/Test" => test.encode_to_vec(),
            "/cid.v1.Jobs/Cancel" | "/cid.v1.Jobs/Retry" => cancel.encode_to_vec(),
            _ if rpc.takes_workspace => rpc.about(&anna()?),
            _ => return None,
        };
        matches!(row.right, Right::About { .. }).then_some((row.rpc, message))
    });
    all.collect()
}
