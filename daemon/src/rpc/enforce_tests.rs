//! The services behind the enforcing layer, as a client meets them, on a made-up machine.

use super::{Api, Audit, enforce::Enforce, server};
use crate::{
    authz::{
        Accounts, Authority, Caller, Decision, Door, Gate, Question, Right,
        table::{Action, TABLE},
    },
    config::{Projects, Settings},
    domain::JobKind,
    engine::{Engine, NoHooks},
    layout::Layout,
    store::{AuditLine, Store, Verdict},
    system::{fake::Fake, fs},
};
use async_trait::async_trait;
use cid_proto::v1::{self, RunStart, WorkspaceRef, run_request::Message};
use http_body_util::{BodyExt, Full};
use prost::Message as _;
use std::{
    collections::BTreeSet,
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
use tower::{Layer, Service, ServiceExt, service_fn};

const EMAIL: &str = "anna@example.com";
/// Hers, as user 1000; one that every machine has, as access lists need one.
const ACCOUNT: &str = "nobody";

/// Denies some actions and remembers what it was asked. Lets some user wait for its word.
#[derive(Default)]
struct Judge {
    denies: Mutex<Vec<Action>>,
    keeps_waiting: Mutex<Option<(u32, Arc<Notify>)>>,
    asked: Mutex<Vec<(Action, Option<String>, bool)>>,
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

struct Stage {
    api: Api,
    judge: Arc<Judge>,
    gate: Gate,
    audit: Audit,
    writer: super::audit::Writer,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::sandbox(dir.path()));
        for dir in [
            layout.projects_dir(),
            layout.run_file_dir(),
            layout.vhost_dir(),
            layout.program_dir(),
            layout.trash_dir(),
            layout.app_logs_dir(),
            layout.work_root.join("demo/.trash"),
            layout.state_dir.join("environments/demo"),
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
        let sys = Fake::new(Arc::clone(&layout)).system();
        let settings = Arc::new(Settings::default());
        let engine = Engine::new(
            sys.clone(),
            store.clone(),
            Arc::clone(&projects),
            Arc::clone(&settings),
            Arc::new(NoHooks),
        );
        let judge = Arc::new(Judge::default());
        let accounts = Accounts::new(|uid| Ok((uid == 1000).then(|| ACCOUNT.to_owned())));
        let (audit, writer) = Audit::start(store.clone());
        Self {
            api: Api {
                engine,
                store,
                sys,
                layout,
                settings,
                projects,
                mode: "sandbox",
                front_url: String::new(),
                turns: Arc::default(),
                stopping: CancellationToken::new(),
            },
            gate: Gate::with_accounts(judge.clone(), accounts),
            judge,
            audit,
            writer,
            _dir: dir,
        }
    }

    /// The answer of the real services to a call of this user's.
    async fn call(&self, uid: u32, rpc: &str, message: &[u8]) -> Code {
        let services = server::routes(&self.api);
        self.call_of(services, uid, rpc, message).await
    }

    async fn call_of<S>(&self, inner: S, uid: u32, rpc: &str, message: &[u8]) -> Code
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
            door: Door::People,
        };
        let request = Request::post(rpc)
            .header("content-type", "application/grpc")
            .extension(caller)
            .body(Body::new(Full::new(framed.into())))
            .unwrap();
        let enforcer = Enforce::new(self.gate.clone(), self.audit.clone()).layer(inner);
        let response = enforcer.oneshot(request).await.unwrap();
        if let Some(status) = Status::from_header_map(response.headers()) {
            return status.code();
        }
        let body = response.into_body().collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        Status::from_header_map(&trailers).map_or(Code::Ok, |status| status.code())
    }

    fn deny(&self, actions: &[Action]) {
        *self.judge.denies.lock().unwrap() = actions.to_vec();
        self.judge.asked.lock().unwrap().clear();
    }

    /// What the audit log says in the end, oldest first.
    async fn lines(self) -> Vec<AuditLine> {
        self.writer.finish().await;
        let mut lines = self.api.store.audit(None, None, 100).await.unwrap();
        lines.reverse();
        lines
    }
}

fn anna() -> Option<WorkspaceRef> {
    Some(WorkspaceRef {
        email: EMAIL.into(),
        project: String::new(),
    })
}

fn create() -> Vec<u8> {
    v1::CreateRequest { workspace: anna() }.encode_to_vec()
}

/// A good request for each RPC that is about a workspace.
fn requests(job: &str) -> Vec<(&'static str, Vec<u8>)> {
    let (workspace, id) = (anna(), job.to_owned());
    let start = RunStart {
        workspace: anna(),
        command: vec!["true".into()],
        terminal: None,
    };
    let run = v1::RunRequest {
        message: Some(Message::Start(start)),
    };
    let logs = v1::LogsRequest {
        workspace: anna(),
        ..Default::default()
    };
    let delete = v1::DeleteRequest {
        workspace: anna(),
        ..Default::default()
    };
    let repair = v1::RepairAccessRequest { workspace: anna() };
    let restart = v1::RestartRequest { workspace };
    let (cancel, retry) = (
        v1::CancelJobRequest { id: id.clone() },
        v1::RetryJobRequest { id },
    );
    vec![
        ("/cid.v1.Workspaces/Create", create()),
        ("/cid.v1.Workspaces/Delete", delete.encode_to_vec()),
        ("/cid.v1.Workspaces/Restart", restart.encode_to_vec()),
        ("/cid.v1.Workspaces/RepairAccess", repair.encode_to_vec()),
        ("/cid.v1.Workspaces/Logs", logs.encode_to_vec()),
        ("/cid.v1.Workspaces/Run", run.encode_to_vec()),
        ("/cid.v1.Jobs/Cancel", cancel.encode_to_vec()),
        ("/cid.v1.Jobs/Retry", retry.encode_to_vec()),
    ]
}

#[tokio::test]
async fn every_rpc_about_a_workspace_asks_about_it_and_does_nothing_without_a_yes() {
    let stage = Stage::new();
    assert_eq!(
        stage.call(1000, requests("")[0].0, &create()).await,
        Code::Ok
    );
    stage.api.engine.idle().await;
    let job = stage.api.store.jobs(Default::default(), 9).await.unwrap()[0].id;
    let requests = requests(&job.to_string());
    let about: BTreeSet<&str> = TABLE
        .iter()
        .filter(|row| matches!(row.right, Right::About { .. }))
        .map(|row| row.rpc)
        .collect();
    assert_eq!(about, requests.iter().map(|(rpc, _)| *rpc).collect());
    let calls = requests.len();
    stage.deny(&Action::ALL);
    for (rpc, message) in requests {
        for uid in [1000, 1001] {
            let code = stage.call(uid, rpc, &message).await;
            assert_eq!(code, Code::PermissionDenied, "{rpc}");
            let asked = std::mem::take(&mut *stage.judge.asked.lock().unwrap());
            let [(action, subject, is_own)] = &asked[..] else {
                panic!("{rpc} asked {asked:?}");
            };
            assert_eq!(
                subject.as_deref(),
                Some("anna@example.com in demo"),
                "{rpc}"
            );
            assert_eq!(*is_own, uid == 1000, "{rpc}");
            let right = crate::authz::table::find(rpc).unwrap().right;
            let Right::About { own, other } = right else {
                panic!("{rpc}");
            };
            assert_eq!(*action, if *is_own { own } else { other });
        }
    }
    let jobs = stage.api.store.jobs(Default::default(), 9).await.unwrap();
    assert_eq!(jobs.len(), 1);
    let lines = stage.lines().await;
    assert_eq!(lines.len(), 1 + 2 * calls);
    assert!(
        lines[1..]
            .iter()
            .all(|line| line.verdict == Verdict::Denied)
    );
}

/// Whoever is asked about one thing must not have said yes to another: while the answer is awaited, the
/// workspace may become another one of the same name, and others may ask for the same with more.
#[tokio::test]
async fn what_changes_while_an_answer_is_awaited_is_not_covered_by_it() {
    const SLOW: u32 = 1000;
    const QUICK: u32 = 1001;
    let stage = Stage::new();
    for (index, (rpc, message)) in requests("").into_iter().enumerate().skip(1).take(3) {
        let only = workspace_after(&stage, QUICK).await;
        let word = Arc::new(Notify::new());
        *stage.judge.keeps_waiting.lock().unwrap() = Some((SLOW, Arc::clone(&word)));
        let meanwhile = async {
            // It has been asked about the first one.
            while stage
                .judge
                .asked
                .lock()
                .unwrap()
                .last()
                .is_none_or(|(.., is_own)| !is_own)
            {
                tokio::task::yield_now().await;
            }
            let delete = v1::DeleteRequest {
                workspace: anna(),
                discard: true,
                ..Default::default()
            };
            let delete = delete.encode_to_vec();
            let code = stage
                .call(QUICK, "/cid.v1.Workspaces/Delete", &delete)
                .await;
            assert_eq!(code, Code::Ok);
            stage.api.engine.idle().await;
            let second = workspace_after(&stage, QUICK).await;
            assert_ne!(only, second);
            word.notify_one();
            second
        };
        let (code, second) = tokio::join!(stage.call(SLOW, rpc, &message), meanwhile);
        assert_ne!(code, Code::Ok, "{index} {rpc}");
        stage.api.engine.idle().await;
        *stage.judge.keeps_waiting.lock().unwrap() = None;
        assert_eq!(ids(&stage).await, [second], "{rpc}");
        let jobs = stage.api.store.jobs(Default::default(), 99).await.unwrap();
        assert_eq!(jobs[0].kind, JobKind::Create, "{rpc}: {:?}", jobs[0]);
        stage.deny(&[]);
    }
}

/// The one workspace there is, made if need be.
async fn workspace_after(stage: &Stage, uid: u32) -> i64 {
    if ids(stage).await.is_empty() {
        let code = stage
            .call(uid, "/cid.v1.Workspaces/Create", &create())
            .await;
        assert_eq!(code, Code::Ok);
        stage.api.engine.idle().await;
    }
    ids(stage).await[0]
}

async fn ids(stage: &Stage) -> Vec<i64> {
    let all = stage.api.store.workspaces(None, 0, 9).await.unwrap();
    all.iter().map(|workspace| workspace.id).collect()
}

#[tokio::test]
async fn an_answer_that_nobody_decided_about_is_not_given() {
    let stage = Stage::new();
    let forgetful = service_fn(|_: Request<Body>| async { Ok(Response::new(Body::empty())) });
    let rpc = "/cid.v1.Workspaces/Delete";
    let code = stage.call_of(forgetful, 1000, rpc, &[]).await;
    assert_eq!(code, Code::PermissionDenied);
    // What is decided before the request is read needs no claim.
    let rpc = "/cid.v1.Workspaces/List";
    assert_eq!(stage.call_of(forgetful, 1000, rpc, &[]).await, Code::Ok);
    let lines = stage.lines().await;
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(line.verdict, Verdict::Denied);
    assert!(line.reason.contains("a fault of cid"), "{}", line.reason);
}

#[tokio::test]
async fn who_may_not_see_does_not_hear_what_there_is() {
    let stage = Stage::new();
    let (rpc, message) = requests("").swap_remove(1);
    assert_eq!(stage.call(1000, rpc, &message).await, Code::NotFound);
    stage.deny(&[Action::List]);
    assert_eq!(
        stage.call(1000, rpc, &message).await,
        Code::PermissionDenied
    );
    let lines = stage.lines().await;
    let verdicts: Vec<Verdict> = lines.iter().map(|line| line.verdict).collect();
    assert_eq!(verdicts, [Verdict::NotAsked, Verdict::Denied]);
}

#[tokio::test]
async fn the_audit_log_has_one_line_for_each_call_that_is_worth_one() {
    let stage = Stage::new();
    let list = v1::ListRequest::default().encode_to_vec();
    assert_eq!(
        stage
            .call(1000, "/cid.v1.Workspaces/Create", &create())
            .await,
        Code::Ok
    );
    assert_eq!(
        stage
            .call(1001, "/cid.v1.Workspaces/Create", &create())
            .await,
        Code::AlreadyExists
    );
    assert_eq!(
        stage.call(1000, "/cid.v1.Workspaces/List", &list).await,
        Code::Ok
    );
    assert_eq!(
        stage.call(1000, "/cid.v1.System/Audit", &[]).await,
        Code::Ok
    );
    assert_eq!(
        stage.call(1000, "/cid.v1.Nothing/Here", &[]).await,
        Code::PermissionDenied
    );
    stage.deny(&[Action::Repair]);
    assert_eq!(
        stage.call(1000, "/cid.v1.System/Doctor", &[]).await,
        Code::PermissionDenied
    );
    stage.api.engine.idle().await;
    let job = stage.api.store.jobs(Default::default(), 9).await.unwrap()[0].id;
    let lines = stage.lines().await;
    let seen: Vec<[&str; 4]> = lines
        .iter()
        .map(|line| [&*line.account, &*line.rpc, &*line.action, &*line.outcome])
        .collect();
    assert_eq!(
        seen,
        [
            [
                ACCOUNT,
                "/cid.v1.Workspaces/Create",
                "org.cid.create-own",
                "OK"
            ],
            [
                "",
                "/cid.v1.Workspaces/Create",
                "org.cid.create-for-others",
                "ALREADY_EXISTS"
            ],
            [ACCOUNT, "/cid.v1.System/Audit", "org.cid.audit", "OK"],
            [ACCOUNT, "/cid.v1.Nothing/Here", "", "PERMISSION_DENIED"],
            [
                ACCOUNT,
                "/cid.v1.System/Doctor",
                "org.cid.repair",
                "PERMISSION_DENIED"
            ],
        ]
    );
    let made = &lines[0];
    assert_eq!(made.job, job.to_string());
    assert_eq!(
        (&*made.workspace, &*made.project),
        ("anna---example-com", "demo")
    );
    assert_eq!(
        (made.uid, &*made.door, made.verdict),
        (1000, "people", Verdict::Allowed)
    );
}

#[tokio::test]
async fn who_reads_logs_or_runs_a_program_is_in_the_audit_log() {
    let stage = Stage::new();
    let code = stage
        .call(1000, "/cid.v1.Workspaces/Create", &create())
        .await;
    assert_eq!(code, Code::Ok);
    stage.api.engine.idle().await;
    let unit = &stage.api.store.workspaces(None, 0, 9).await.unwrap()[0].unit();
    let logs = stage.api.layout.app_log_dir(unit);
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(logs.join("web.log"), "one line\n").unwrap();
    let call = |rpc| requests("").into_iter().find(|(of, _)| *of == rpc).unwrap();
    let (rpc, message) = call("/cid.v1.Workspaces/Logs");
    assert_eq!(stage.call(1001, rpc, &message).await, Code::Ok);
    stage.deny(&[Action::Run]);
    let (rpc, _) = call("/cid.v1.Workspaces/Run");
    let start = RunStart {
        workspace: anna(),
        command: ["mysql", "--password=secret"].map(String::from).into(),
        terminal: None,
    };
    let run = v1::RunRequest {
        message: Some(Message::Start(start)),
    };
    let code = stage.call(1001, rpc, &run.encode_to_vec()).await;
    assert_eq!(code, Code::PermissionDenied);
    let lines = stage.lines().await;
    let seen: Vec<[&str; 5]> = lines[1..]
        .iter()
        .map(|l| [&*l.rpc, &*l.action, &*l.email, &*l.outcome, &*l.program])
        .collect();
    let anna = "anna@example.com";
    assert_eq!(
        seen,
        [
            [
                "/cid.v1.Workspaces/Logs",
                "org.cid.read-logs",
                anna,
                "OK",
                ""
            ],
            [
                "/cid.v1.Workspaces/Run",
                "org.cid.run",
                anna,
                "PERMISSION_DENIED",
                "mysql"
            ],
        ]
    );
}
