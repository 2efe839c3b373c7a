//! What people ask of builds and of their tests.

use super::{pushes::GATE, stage::Stage};
use crate::{authz::Door, rpc::server};
use cid_proto::v1;
use cid_protocol::budget::LOGS_OF_USER;
use prost::Message as _;
use tonic::Code;

#[tokio::test]
async fn unread_output_of_builds_counts_as_logs() {
    let stage = Stage::new();
    stage.says("", GATE);
    stage.follows("main").await;
    stage.cid.engine.idle().await;
    let logs = v1::BuildLogsRequest {
        build: Some(v1::BuildRef {
            project: "demo".into(),
            number: 1,
        }),
    };
    let (rpc, logs) = ("/cid.v1.Builds/Logs", logs.encode_to_vec());
    let mut unread = Vec::new();
    for _ in 0..LOGS_OF_USER.most {
        let services = server::routes(&stage.cid);
        unread.push(stage.answer(services, 7, Door::People, rpc, &logs).await);
    }
    assert_eq!(stage.call(7, rpc, &logs).await, Code::ResourceExhausted);
    assert_eq!(stage.call(8, rpc, &logs).await, Code::Ok);
    drop(unread);
    let said = stage.said(7, Door::People, rpc, &logs).await;
    assert!(said.contains("$ make test"), "{said}");
}

#[tokio::test]
async fn a_projects_tests_do_not_run_in_a_stage() {
    let stage = Stage::new();
    stage.says("", &format!("{GATE}\n[stages.live]"));
    stage.follows("main").await;
    stage.cid.engine.idle().await;
    let promote = v1::PromoteRequest {
        stage: Some(v1::StageRef {
            project: "demo".into(),
            name: "live".into(),
        }),
        ..v1::PromoteRequest::default()
    };
    let promote = promote.encode_to_vec();
    let code = stage.call(1000, "/cid.v1.Stages/Promote", &promote).await;
    assert_eq!(code, Code::Ok);
    stage.cid.engine.idle().await;
    let test = v1::TestRequest {
        workspace: Some(v1::WorkspaceRef {
            email: "live".into(),
            project: "demo".into(),
        }),
        number: 1,
    };
    let (rpc, test) = ("/cid.v1.Workspaces/Test", test.encode_to_vec());
    let refused = stage.refusal(1000, rpc, &test).await;
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let told = refused.message();
    assert!(told.contains("live is a stage"), "{told}");
}
