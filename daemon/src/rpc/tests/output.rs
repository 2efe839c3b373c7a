//! Who sees the output of a job's commands, and how much one user may leave unread.

use super::stage::{EMAIL, Stage, create};
use crate::{
    authz::{Door, table::Action},
    domain::{
        JobState,
        event::{Failure, What},
    },
};
use cid_proto::v1;
use cid_protocol::budget::CALLS_OF_USER;
use futures::TryStreamExt;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use prost::Message as _;
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::service_fn;

/// A failed job of anna's, with the output of its commands and its app's last lines.
async fn failed_job(stage: &Stage) -> String {
    failed_job_of(stage, 1000, &create()).await
}

async fn failed_job_of(stage: &Stage, uid: u32, request: &[u8]) -> String {
    let code = stage.call(uid, "/cid.v1.Workspaces/Create", request).await;
    assert_eq!(code, Code::Ok);
    stage.cid.engine.idle().await;
    let job = stage.cid.store.jobs(Default::default(), 9).await.unwrap()[0].id;
    let lines = vec!["the app's secret".to_owned()];
    let failure = Failure {
        step: Some(0),
        message: "cannot call it healthy".into(),
        hint: None,
        output: lines.clone(),
        cancelled: false,
    };
    let state = JobState::Undone;
    let journal = vec![
        What::Output { step: 0, lines },
        What::Failed { failure },
        What::Job { state },
    ];
    stage.cid.store.append(job, journal).await.unwrap();
    job.to_string()
}

#[tokio::test]
async fn lines_that_the_journal_has_no_room_for_are_told_to_those_who_ask_for_all() {
    let stage = Stage::new();
    let id = failed_job(&stage).await;
    let job = id.parse().unwrap();
    let output = |line: &str| What::Output {
        step: 0,
        lines: vec![line.to_owned()],
    };
    let left_out = What::LeftOut { step: 0, lines: 3 };
    let journal = vec![output("line-one"), left_out, output("line-five")];
    stage.cid.store.append(job, journal).await.unwrap();
    let told = async |whole_output| {
        let watch = v1::WatchJobRequest {
            id: id.clone(),
            whole_output,
            ..Default::default()
        };
        let message = watch.encode_to_vec();
        stage
            .said(1000, Door::People, "/cid.v1.Jobs/Watch", &message)
            .await
    };
    let in_order = |said: &str, words: &[&str]| {
        let places: Vec<_> = words.iter().map(|word| said.find(word)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{words:?}: {said}"
        );
    };
    let file = stage.cid.layout.job_output(&id, 0);
    cid_kernel::fs::append(&file, b"two\nthree\n").unwrap();
    in_order(
        &told(false).await,
        &["line-one", "[... 3 lines left out ...]", "line-five"],
    );
    assert!(!told(false).await.contains("three"));
    // One of them was lost.
    in_order(
        &told(true).await,
        &[
            "line-one",
            "two",
            "three",
            "[... 1 lines left out ...]",
            "line-five",
        ],
    );
    stage.deny(&[Action::ReadLogs]);
    let said = told(true).await;
    assert!(
        !said.contains("three") && !said.contains("left out"),
        "{said}"
    );
}

#[tokio::test]
async fn output_of_a_job_takes_the_right_to_read_logs() {
    const SECRET: &str = "the app's secret";
    let stage = Stage::new();
    let id = failed_job(&stage).await;
    let get = v1::GetJobRequest { id: id.clone() }.encode_to_vec();
    let watch = v1::WatchJobRequest {
        id,
        ..Default::default()
    }
    .encode_to_vec();
    let rpcs = [("/cid.v1.Jobs/Get", &get), ("/cid.v1.Jobs/Watch", &watch)];
    for (uid, door, denied, sees) in [
        (1000, Door::People, &[][..], true),
        (1001, Door::People, &[][..], true),
        (1000, Door::People, &[Action::ReadLogs][..], false),
        (1001, Door::People, &[Action::ReadLogs][..], false),
        (1001, Door::Front, &[][..], false),
    ] {
        stage.deny(denied);
        for (rpc, message) in rpcs {
            let said = stage.said(uid, door, rpc, message).await;
            assert_eq!(said.contains(SECRET), sees, "{rpc} {uid} {door:?}: {said}");
            let asked = std::mem::take(&mut *stage.judge.asked.lock().unwrap());
            let about = Some("anna@example.com in demo".to_owned());
            let question = (Action::ReadLogs, about, uid == 1000);
            assert_eq!(asked.contains(&question), door == Door::People, "{asked:?}");
        }
        let said = stage.said(uid, door, rpcs[0].0, rpcs[0].1).await;
        assert!(said.contains("cannot call it healthy"), "{said}");
        let is_told = said.contains("may read the workspace's logs (org.cid.read-logs)");
        assert_eq!(is_told, !sees, "{said}");
    }
    stage.deny(&[]);
    let list = v1::ListJobsRequest::default().encode_to_vec();
    let said = stage
        .said(1000, Door::People, "/cid.v1.Jobs/List", &list)
        .await;
    assert!(
        said.contains("cannot call it healthy") && !said.contains(SECRET),
        "{said}"
    );
    let lines = stage.lines().await;
    // Reading the output of her own job leaves no line; reading others' does.
    let read: Vec<u32> = lines
        .iter()
        .filter(|line| line.action == "org.cid.read-logs")
        .map(|line| line.uid)
        .collect();
    assert_eq!(read, [1001, 1001, 1001]);
}

#[tokio::test]
async fn output_of_a_job_is_its_workspaces_makers_too_unless_it_is_somebody_elses() {
    let stage = Stage::new();
    let of = |email: &str| v1::CreateRequest {
        workspace: Some(v1::WorkspaceRef {
            email: email.into(),
            project: String::new(),
        }),
        ..Default::default()
    };
    for (email, is_own) in [("ben@example.com", true), (EMAIL, false)] {
        // The workspace is gone with its job.
        let id = failed_job_of(&stage, 1001, &of(email).encode_to_vec()).await;
        stage.judge.asked.lock().unwrap().clear();
        let get = v1::GetJobRequest { id }.encode_to_vec();
        stage
            .said(1001, Door::People, "/cid.v1.Jobs/Get", &get)
            .await;
        let asked = std::mem::take(&mut *stage.judge.asked.lock().unwrap());
        let question = (Action::ReadLogs, Some(format!("{email} in demo")), is_own);
        assert!(asked.contains(&question), "{asked:?}");
    }
}

#[tokio::test]
async fn one_users_calls_are_bounded_until_they_are_read() {
    let stage = Stage::new();
    let endless = service_fn(|_: Request<Body>| async {
        let nothing = futures::stream::pending::<Result<_, Status>>();
        let body = StreamBody::new(nothing.map_ok(Frame::<Bytes>::data));
        Ok(Response::new(Body::new(body)))
    });
    let rpc = "/cid.v1.System/Version";
    let mut unread = Vec::new();
    for _ in 0..CALLS_OF_USER.most {
        unread.push(stage.answer(endless, 7, Door::People, rpc, &[]).await);
    }
    assert_eq!(stage.call(7, rpc, &[]).await, Code::ResourceExhausted);
    assert_eq!(stage.call(8, rpc, &[]).await, Code::Ok);
    drop(unread);
    assert_eq!(stage.call(7, rpc, &[]).await, Code::Ok);
}
