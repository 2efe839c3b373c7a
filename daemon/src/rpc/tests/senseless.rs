//! Requests that make no sense: they are refused clearly, and nothing changes.

use super::stage::{Stage, anna, create};
use cid_proto::v1;
use prost::Message as _;
use tonic::Code;

const DELETE: &str = "/cid.v1.Workspaces/Delete";

#[tokio::test]
async fn a_workspace_begins_from_the_branch_that_is_named_if_it_can_be_one() {
    let stage = Stage::new();
    let from = |base: &str| {
        let request = v1::CreateRequest {
            workspace: anna(),
            base: base.into(),
        };
        request.encode_to_vec()
    };
    let rpc = "/cid.v1.Workspaces/Create";
    for bad in ["..", "a b", "-x", "a/../b", "x.lock", "\n"] {
        let refused = stage.call(1000, rpc, &from(bad)).await;
        assert_eq!(refused, Code::InvalidArgument, "{bad:?}");
    }
    let jobs = stage.cid.store.jobs(Default::default(), 9).await.unwrap();
    assert!(jobs.is_empty(), "nothing was begun");
    assert_eq!(stage.call(1000, rpc, &from("release-2")).await, Code::Ok);
    stage.cid.engine.idle().await;
    let jobs = stage.cid.store.jobs(Default::default(), 9).await.unwrap();
    let plan = jobs[0].plan.to_string();
    assert_eq!(plan.matches(r#""base":"release-2""#).count(), 2, "{plan}");
}

#[tokio::test]
async fn force_goes_with_the_branch_alone() {
    let stage = Stage::new();
    let made = stage
        .call(1000, "/cid.v1.Workspaces/Create", &create())
        .await;
    assert_eq!(made, Code::Ok);
    stage.cid.engine.idle().await;
    let delete = |with_branch, force| {
        let request = v1::DeleteRequest {
            workspace: anna(),
            with_branch,
            force,
            ..Default::default()
        };
        request.encode_to_vec()
    };
    let refused = stage.call(1000, DELETE, &delete(false, true)).await;
    assert_eq!(refused, Code::InvalidArgument);
    let jobs = stage.cid.store.jobs(Default::default(), 9).await.unwrap();
    assert_eq!(jobs.len(), 1, "nothing was begun");
    for (with_branch, force) in [(true, true), (true, false), (false, false)] {
        let code = stage.call(1000, DELETE, &delete(with_branch, force)).await;
        assert_eq!(code, Code::Ok, "{with_branch} {force}");
        stage.cid.engine.idle().await;
        stage
            .call(1000, "/cid.v1.Workspaces/Create", &create())
            .await;
        stage.cid.engine.idle().await;
    }
}
