//! What doctor says beside jobs that begin and end.

use super::stage::{EMAIL, Stage, create};
use crate::{
    cid::Cid,
    doctor::{Finding, examine},
    domain::{Email, UnitName, Workspace},
};
use cid_kernel::fs;
use cid_proto::v1;
use prost::Message as _;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tonic::Code;

const ROUNDS: usize = 10;

/// Looks and mends all the time; the findings that are about a workspace.
async fn doctors(cid: Cid, stop: Arc<AtomicBool>, repair: bool) -> Vec<String> {
    let mut said = Vec::new();
    while !stop.load(Relaxed) {
        let findings = examine(&cid, repair).await.unwrap();
        said.extend(findings.iter().filter_map(Finding::of_unit));
        tokio::task::yield_now().await;
    }
    said
}

async fn idle(stage: &Stage) {
    stage.cid.engine.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_jobs_make_and_remove_is_no_drift() {
    let stage = Stage::new();
    let email = Email::parse(EMAIL).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let doctors = [true, false].map(|repair| {
        let (cid, stop) = (stage.cid.clone(), Arc::clone(&stop));
        tokio::spawn(doctors(cid, stop, repair))
    });
    let delete = v1::DeleteRequest {
        workspace: super::stage::anna(),
        ..Default::default()
    };
    for round in 0..ROUNDS {
        let created = stage
            .call(1000, "/cid.v1.Workspaces/Create", &create())
            .await;
        assert_eq!(created, Code::Ok, "{round}");
        idle(&stage).await;
        let workspaces = stage
            .cid
            .store
            .workspaces_of(email.clone().into())
            .await
            .unwrap();
        let unit = workspaces.first().map(Workspace::unit).unwrap();
        let vhost = stage.cid.sys.nginx.read(&unit).unwrap();
        assert!(vhost.is_some(), "{round}: the vhost was taken away");
        assert!(
            fs::exists(&stage.cid.layout.run_file(&unit)),
            "{round}: the run file was taken away"
        );
        let request = delete.encode_to_vec();
        let deleted = stage
            .call(1000, "/cid.v1.Workspaces/Delete", &request)
            .await;
        assert_eq!(deleted, Code::Ok, "{round}");
        idle(&stage).await;
    }
    stop.store(true, Relaxed);
    for said in doctors {
        assert_eq!(said.await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_no_job_knows_is_drift_and_goes() {
    let stage = Stage::new();
    let unit = UnitName::parse("demo.zoe---example-com").unwrap();
    stage.cid.sys.nginx.put(&unit, "server {}").await.unwrap();
    let said = |findings: Vec<Finding>| -> Vec<String> {
        findings.iter().filter_map(Finding::of_unit).collect()
    };
    let found = said(examine(&stage.cid, false).await.unwrap());
    assert_eq!(found.len(), 1, "{found:?}");
    examine(&stage.cid, true).await.unwrap();
    assert!(stage.cid.sys.nginx.read(&unit).unwrap().is_none());
}
