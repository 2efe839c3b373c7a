//! Deployments that fail, and what stops being well after it came to run: people are told.

use super::{
    notices::Told,
    stage::{EMAIL, Stage, anna},
    stages::{claim, restart},
};
use crate::{
    authz::Door,
    doctor::examine,
    operation::{self, ShownStage},
    system::supervisor::ProcessState,
};
use cid_proto::v1;
use cid_protocol::request::{Request, TreeState};
use prost::Message as _;
use serde_json::json;
use std::{sync::atomic::Ordering::Relaxed, time::Duration};
use tonic::Code;

const BRANCH: &str = "anna---example-com";
const RELEASES: &str = "[app]\nrelease = [[\"migrate\"]]\n[stages.one]\n[stages.two]\nafter = \"one\"\npromote = \"auto\"\nsoak = \"1h\"";

async fn stages(stage: &Stage) -> Vec<ShownStage> {
    operation::stages(&stage.cid, "demo").await.unwrap()
}

/// All that doctor says.
async fn doctor(stage: &Stage) -> String {
    let found = examine(&stage.cid, false).await.unwrap();
    let found = found.into_iter().map(v1::Finding::from);
    let told = found.map(|one| format!("{}: {} ({})\n", one.subject, one.message, one.repair));
    told.collect()
}

/// Release commands end with this status.
fn releases_end_with(stage: &Stage, status: i32) {
    stage.fake.answer(move |request| match request {
        Request::RunCommand(ask) if ask.command[0] == "migrate" => {
            Some(Box::pin(async move { Ok(json!({ "status": status })) }))
        }
        _ => None,
    });
}

#[tokio::test]
async fn a_stage_tells_of_the_build_that_was_not_deployed_until_another_is() {
    let stage = Stage::new();
    stage.says("", RELEASES);
    stage.build(true).await;
    stage.promote("one", 1).await.unwrap();
    assert!(stages(&stage).await[0].failed.is_none());
    releases_end_with(&stage, 7);
    stage.build(true).await;
    stage.promote("one", 2).await.unwrap();
    let shown = stages(&stage).await.remove(0);
    let failed = shown.failed.unwrap();
    assert_eq!((failed.build, shown.running.unwrap().build), (Some(2), 1));
    assert!(failed.message.contains("status 7"), "{}", failed.message);
    let told = doctor(&stage).await;
    let line = "stage one of demo: build 2 was not deployed at";
    assert!(told.contains(line) && told.contains("status 7"), "{told}");
    // What its release commands did stays, and its job says so.
    let get = v1::GetJobRequest {
        id: failed.job.to_string(),
    };
    let row = stage.cid.store.job(failed.job).await.unwrap().unwrap();
    assert!(!row.follows_push || get.id == row.id.to_string());
    releases_end_with(&stage, 0);
    stage.promote("one", 2).await.unwrap();
    assert!(stages(&stage).await[0].failed.is_none());
    assert!(!doctor(&stage).await.contains("was not deployed"));
    // The same build twice is said once.
    stage.promote("one", 2).await.unwrap();
    let back = operation::roll_back(&stage.cid, claim(), "demo", "one", None).await;
    let notes = back.unwrap().notes.join("\n");
    assert!(notes.contains("of build 2: what"), "{notes}");
    stage.cid.engine.idle().await;
    // A stage offers only builds that it takes.
    let build = stage
        .cid
        .store
        .builds(None, None, 9)
        .await
        .unwrap()
        .remove(0);
    let eligible = operation::eligible(&stage.cid, &build).await.unwrap();
    let eligible: Vec<_> = eligible.iter().map(ToString::to_string).collect();
    assert_eq!(
        (build.number, eligible),
        (2, vec!["one".into(), "two".into()])
    );
}

async fn push(told: &Told, digit: char, status: usize) {
    told.red.store(status, Relaxed);
    let commit = digit.to_string().repeat(40);
    told.stage.fake.push(BRANCH, &commit, 0);
    told.stage.fetch().await.unwrap();
    told.stage.cid.engine.idle().await;
    told.all_told().await;
}

fn subjects(told: &Told) -> Vec<String> {
    let mails = told.mails().into_iter();
    let own = mails.filter(|mail| &*mail.to == EMAIL);
    own.map(|mail| mail.subject).collect()
}

#[tokio::test]
async fn who_pushes_to_a_workspaces_branch_is_told_what_became_of_it() {
    let told = Told::new("");
    let stage = &told.stage;
    stage.says(
        "deploy_workspaces = true",
        "[app]\nrelease = [[\"migrate\"]]",
    );
    stage.create().await;
    stage.fetch().await.unwrap();
    push(&told, '1', 7).await;
    let first = format!("demo: the push to {BRANCH} was not deployed");
    assert_eq!(subjects(&told), [&*first]);
    let text = told.mails()[0].text.expose().to_owned();
    assert!(
        text.contains("status 7") && text.contains("cictl jobs show"),
        "{text}"
    );
    // It is in the answers about the workspace.
    let list = v1::ListRequest::default().encode_to_vec();
    let get = v1::GetRequest {
        workspace: anna(),
        look: false,
    };
    for (rpc, message) in [("List", list), ("Get", get.encode_to_vec())] {
        let rpc = format!("/cid.v1.Workspaces/{rpc}");
        let said = stage.said(1000, Door::People, &rpc, &message).await;
        assert!(said.contains("status 7"), "{rpc}: {said}");
    }
    // Who deploys by hand sees it.
    let deploy = v1::DeployRequest { workspace: anna() }.encode_to_vec();
    let code = stage.call(1000, "/cid.v1.Workspaces/Deploy", &deploy).await;
    assert_eq!(code, Code::Ok);
    stage.cid.engine.idle().await;
    told.all_told().await;
    assert_eq!(subjects(&told), [&*first]);
    push(&told, '2', 0).await;
    push(&told, '3', 0).await;
    let again = format!("demo: the push to {BRANCH} is deployed again");
    assert_eq!(subjects(&told), [&*first, &*again]);
    // A tree with work in it stays as it is.
    stage.fake.answer(|request| match request {
        Request::UpdateTree(_) => {
            let state = TreeState {
                commit: "a".repeat(40),
                snapshot: "s".into(),
                fingerprint: "f".into(),
                uncommitted: 1,
                left_alone: Some("it has uncommitted changes".into()),
            };
            Some(Box::pin(async move { Ok(json!(state)) }))
        }
        _ => None,
    });
    push(&told, '4', 0).await;
    let kept = format!("demo: the push to {BRANCH} is not in its workspace");
    assert_eq!(subjects(&told).last(), Some(&kept));
    let job = stage
        .cid
        .store
        .jobs(Default::default(), 1)
        .await
        .unwrap()
        .remove(0);
    let get = v1::GetJobRequest {
        id: job.id.to_string(),
    };
    let rpc = "/cid.v1.Jobs/Get";
    let said = stage
        .said(1000, Door::People, rpc, &get.encode_to_vec())
        .await;
    let note = "the tree was not brought up to date, for it has uncommitted changes";
    assert!(said.contains(note), "{said}");
}

#[tokio::test]
async fn what_falls_ill_after_it_came_by_itself_is_told_once_and_goes_no_further() {
    let told = Told::new("");
    let stage = &told.stage;
    let notify = "[notify]\nmail = [\"team@example.com\"]";
    stage.says("", &format!("{RELEASES}\n{notify}"));
    stage.fetch().await.unwrap();
    stage.cid.engine.idle().await;
    let carry = async || {
        let errors = crate::trigger::carry(&stage.cid, &stage.demo()).await;
        assert!(errors.is_empty(), "{errors:?}");
        stage.cid.engine.idle().await;
    };
    carry().await;
    let held = async || stages(stage).await.remove(1).held.unwrap();
    let waits = held().await;
    assert!(waits.contains("build 1 goes on by itself once it has run well in one for 3600 s"));
    let row = stages(stage).await.remove(0).workspace.unwrap();
    let mut dead = stage
        .cid
        .sys
        .supervisor
        .processes(&row.instance())
        .await
        .unwrap();
    for process in &mut dead {
        process.state = ProcessState::Fatal;
        process.pid = None;
    }
    let note = async || {
        let demo = stage.demo();
        operation::note_fallen_for(&stage.cid, &demo, Duration::ZERO)
            .await
            .unwrap();
        told.all_told().await;
        told.mails()
            .into_iter()
            .map(|mail| mail.subject)
            .collect::<Vec<_>>()
    };
    assert!(note().await.is_empty());
    stage.fake.tell_processes(&row.instance(), dead);
    carry().await;
    let held = held().await;
    assert!(
        held.starts_with("build 1 did not pass its soak in one: "),
        "{held}"
    );
    let said = ["demo: one is failing: build 1 came there by itself"];
    assert_eq!(note().await, said);
    assert_eq!(note().await, said, "once");
    assert!(
        told.mails()[0]
            .text
            .expose()
            .contains("cictl rollback one -p demo")
    );
    assert!(doctor(stage).await.contains("cictl rollback one -p demo"));
}

#[tokio::test]
async fn doctor_names_a_build_that_runs_from_other_files_than_were_tested() {
    let stage = Stage::new();
    stage.says("", RELEASES);
    stage.build(true).await;
    stage.promote("one", 1).await.unwrap();
    let told = "build 1 of demo: its files are not those that were tested, and one runs it";
    assert!(!doctor(&stage).await.contains(told));
    stage.fake.answer(|request| match request {
        Request::SealBuild(ask) if ask.reads_only => {
            let other = json!({ "digest": "other", "files": 1, "bytes": 1 });
            Some(Box::pin(async move { Ok(other) }))
        }
        _ => None,
    });
    assert!(doctor(&stage).await.contains(told));
    // A restart would show visitors what nobody has tested.
    let refused = restart(&stage, "one").await.unwrap_err().to_string();
    assert!(
        refused.contains("other files than those that were tested"),
        "{refused}"
    );
}
