//! What the enforcing layer asks, refuses and writes down.

use super::stage::{ACCOUNT, Stage, anna, create, requests};
use crate::{
    authz::{
        Right,
        table::{Action, TABLE},
    },
    domain::JobKind,
    store::Verdict,
};
use cid_proto::v1::{self, RunStart, run_request::Message};
use prost::Message as _;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::Notify;
use tonic::{
    Code,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::service_fn;

#[tokio::test]
async fn every_rpc_about_builds_asks_before_it_says_what_there_is() {
    let stage = Stage::new();
    stage.deny(&Action::ALL);
    let rows = TABLE
        .iter()
        .filter(|row| is_of_project(row.rpc) && matches!(row.right, Right::About { .. }));
    let mut count = 0;
    for row in rows {
        assert_eq!(stage.call(1000, row.rpc, &[]).await, Code::PermissionDenied);
        count += 1;
    }
    assert_eq!(count, 7);
}

/// The generated code has an answer for a method that a service leaves out.
#[tokio::test]
async fn every_rpc_is_answered_by_a_service() {
    let stage = Stage::new();
    for rpc in cid_proto::rpcs() {
        let said = stage.call(1000, &rpc.path, &[]).await;
        assert_ne!(said, Code::Unimplemented, "{}", rpc.path);
    }
}

/// About a project's builds, pushes and stages.
fn is_of_project(rpc: &str) -> bool {
    let services = ["/cid.v1.Builds/", "/cid.v1.Projects/", "/cid.v1.Stages/"];
    services.iter().any(|service| rpc.starts_with(service))
}

#[tokio::test]
async fn every_rpc_about_a_workspace_asks_about_it_and_does_nothing_without_a_yes() {
    let stage = Stage::new();
    assert_eq!(
        stage.call(1000, requests("")[0].0, &create()).await,
        Code::Ok
    );
    stage.cid.engine.idle().await;
    let job = stage.cid.store.jobs(Default::default(), 9).await.unwrap()[0].id;
    let requests = requests(&job.to_string());
    let about: BTreeSet<&str> = TABLE
        .iter()
        .filter(|row| matches!(row.right, Right::About { .. }))
        .filter(|row| !is_of_project(row.rpc))
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
    let jobs = stage.cid.store.jobs(Default::default(), 9).await.unwrap();
    assert_eq!(jobs.len(), 1);
    let lines = stage.lines().await;
    assert_eq!(lines.len(), 1 + 2 * calls);
    assert!(
        lines[1..]
            .iter()
            .all(|line| line.verdict == Verdict::Denied)
    );
}

/// A yes to one question must not count for another: while the answer is pending, the workspace may be
/// replaced by another of the same name, and others may ask for the same and more.
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
            // The question was about the first one.
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
            stage.cid.engine.idle().await;
            let second = workspace_after(&stage, QUICK).await;
            assert_ne!(only, second);
            word.notify_one();
            second
        };
        let (code, second) = tokio::join!(stage.call(SLOW, rpc, &message), meanwhile);
        assert_ne!(code, Code::Ok, "{index} {rpc}");
        stage.cid.engine.idle().await;
        *stage.judge.keeps_waiting.lock().unwrap() = None;
        assert_eq!(ids(&stage).await, [second], "{rpc}");
        let jobs = stage.cid.store.jobs(Default::default(), 99).await.unwrap();
        assert_eq!(jobs[0].kind, JobKind::Create, "{rpc}: {:?}", jobs[0]);
        stage.deny(&[]);
    }
}

/// The only workspace, created if needed.
async fn workspace_after(stage: &Stage, uid: u32) -> i64 {
    if ids(stage).await.is_empty() {
        let code = stage
            .call(uid, "/cid.v1.Workspaces/Create", &create())
            .await;
        assert_eq!(code, Code::Ok);
        stage.cid.engine.idle().await;
    }
    ids(stage).await[0]
}

async fn ids(stage: &Stage) -> Vec<i64> {
    let all = stage.cid.store.workspaces(None, 0, 9).await.unwrap();
    all.iter().map(|workspace| workspace.id).collect()
}

#[tokio::test]
async fn an_answer_that_nobody_decided_about_is_not_given() {
    let stage = Stage::new();
    let forgetful = service_fn(|_: Request<Body>| async { Ok(Response::new(Body::empty())) });
    let rpc = "/cid.v1.Workspaces/Delete";
    let code = stage.call_of(forgetful, 1000, rpc, &[]).await;
    assert_eq!(code, Code::PermissionDenied);
    // A decision made before the request is read needs no claim.
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
    stage.cid.engine.idle().await;
    let job = stage.cid.store.jobs(Default::default(), 9).await.unwrap()[0].id;
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
    stage.cid.engine.idle().await;
    let unit = &stage.cid.store.workspaces(None, 0, 9).await.unwrap()[0].unit();
    let logs = stage.cid.layout.app_log_dir(unit);
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

/// A typo and a reload must not lock people out of their own workspaces, nor must a restart after that.
#[tokio::test]
async fn a_workspace_stays_its_persons_own_while_the_file_is_bad_or_gone() {
    let stage = Stage::new();
    let (create_rpc, message) = (requests("")[0].0, create());
    assert_eq!(stage.call(1000, create_rpc, &message).await, Code::Ok);
    stage.cid.engine.idle().await;
    let cid = &stage.cid;
    cid.recall_rights().await.unwrap();
    let file = cid.layout.projects_dir().join("demo.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    for bad in [Some(format!("bracnh = 1\n{good}")), None] {
        match bad {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        cid.take_up(cid.projects.read().unwrap()).await.unwrap();
        for is_after_restart in [false, true] {
            if is_after_restart {
                cid.projects.set_rights(Default::default());
                cid.recall_rights().await.unwrap();
            }
            let job = cid.store.jobs(Default::default(), 9).await.unwrap()[0].id;
            for (rpc, message) in requests(&job.to_string()).into_iter().skip(1) {
                stage.deny(&Action::ALL);
                for uid in [1000, 1001] {
                    stage.call(uid, rpc, &message).await;
                    let asked = std::mem::take(&mut *stage.judge.asked.lock().unwrap());
                    assert!(asked.iter().all(|(.., is_own)| *is_own == (uid == 1000)));
                    assert_eq!(asked.len(), 1, "{rpc}");
                }
            }
        }
        // A request that needs the file names that as the reason.
        stage.deny(&[]);
        let told = match file.exists() {
            true => "unknown field",
            false => "has no file any more",
        };
        let needs_it = |(rpc, _): &(&str, Vec<u8>)| {
            ["/Create", "/Restart", "/Deploy"]
                .iter()
                .any(|end| rpc.ends_with(end))
        };
        for (rpc, message) in requests("").into_iter().filter(needs_it) {
            let refusal = stage.refusal(1000, rpc, &message).await;
            assert_eq!(refusal.code(), Code::FailedPrecondition, "{rpc}: {refusal}");
            assert!(refusal.message().contains(told), "{rpc}: {refusal}");
        }
    }
    std::fs::write(&file, good).unwrap();
    cid.take_up(cid.projects.read().unwrap()).await.unwrap();
    assert_eq!(cid.projects.rights().len(), 1);
}
