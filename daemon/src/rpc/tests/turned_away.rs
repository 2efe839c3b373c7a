//! What the audit log says of those who are turned away, and of those who only look.

use super::{
    people::{ADMIN, stage},
    stage::{Stage, anna, create},
};
use crate::{authz::Door, store::Verdict};
use cid_proto::v1::{self, WorkspaceRef};
use prost::Message;
use tonic::Code;

#[tokio::test]
async fn who_is_turned_away_from_what_is_written_down() {
    let stage = stage();
    let made = stage
        .call(1000, "/cid.v1.Workspaces/Create", &create())
        .await;
    assert_eq!(made, Code::Ok);
    stage.cid.engine.idle().await;
    let job = stage.cid.store.jobs(Default::default(), 9).await.unwrap()[0].id;
    let ben = stage.sign_in("ben@example.com").await;
    let nobody = Some(WorkspaceRef {
        email: "carol@example.com".into(),
        project: "demo".into(),
    });
    let by_id = v1::GetJobRequest {
        id: job.to_string(),
    };
    let of_anna = v1::ListJobsRequest {
        email: anna().unwrap_or_default().email,
        ..Default::default()
    };
    let get = |workspace| v1::GetRequest {
        workspace,
        look: true,
    };
    let restart = |workspace| v1::RestartRequest { workspace };
    for refused in [
        ask(&stage, "/cid.v1.Workspaces/Get", &ben, &get(anna())).await,
        ask(&stage, "/cid.v1.Jobs/Get", &ben, &by_id).await,
        ask(&stage, "/cid.v1.Jobs/List", &ben, &of_anna).await,
        ask(&stage, "/cid.v1.Workspaces/Restart", &ben, &restart(anna())).await,
        // The workspace does not exist.
        ask(&stage, "/cid.v1.Workspaces/Get", &ben, &get(nobody.clone())).await,
        ask(&stage, "/cid.v1.Workspaces/Restart", &ben, &restart(nobody)).await,
    ] {
        assert_eq!(refused, Code::PermissionDenied);
    }
    let lines = stage.lines().await;
    let denied: Vec<_> = lines
        .iter()
        .filter(|line| line.verdict == Verdict::Denied)
        .map(|line| {
            let rpc = line.rpc.trim_start_matches("/cid.v1.");
            (
                line.account.as_str(),
                rpc,
                line.email.as_str(),
                line.project.as_str(),
            )
        })
        .collect();
    let [ben, anna, carol] = ["ben", "anna", "carol"].map(|name| format!("{name}@example.com"));
    let wanted = [
        ("Workspaces/Get", &anna, ""),
        ("Jobs/Get", &anna, "demo"),
        ("Jobs/List", &anna, ""),
        ("Workspaces/Restart", &anna, "demo"),
        ("Workspaces/Get", &carol, "demo"),
        ("Workspaces/Restart", &carol, "demo"),
    ];
    let wanted = wanted.map(|(rpc, email, project)| (ben.as_str(), rpc, email.as_str(), project));
    assert_eq!(denied, wanted);
}

#[tokio::test]
async fn who_only_looks_is_not_said_to_have_done_it() {
    let stage = stage();
    let made = stage
        .call(1000, "/cid.v1.Workspaces/Create", &create())
        .await;
    assert_eq!(made, Code::Ok);
    stage.cid.engine.idle().await;
    let root = stage.sign_in(ADMIN).await;
    let look = v1::DeleteRequest {
        workspace: anna(),
        look: true,
        ..Default::default()
    };
    ask(&stage, "/cid.v1.Workspaces/Delete", &root, &look).await;
    let doctor = v1::DoctorRequest { repair: false };
    ask(&stage, "/cid.v1.System/Doctor", &root, &doctor).await;
    let dry = v1::PruneRequest {
        project: String::new(),
        dry_run: true,
    };
    let by_people: Result<v1::PruneResponse, _> = stage
        .ask(Door::People, "/cid.v1.System/Prune", None, &dry)
        .await;
    by_people.unwrap();
    let lines = stage.lines().await;
    let rpcs: Vec<&str> = lines.iter().map(|line| line.rpc.as_str()).collect();
    for quiet in ["Delete", "Doctor", "Prune"] {
        assert!(!rpcs.iter().any(|rpc| rpc.ends_with(quiet)), "{rpcs:?}");
    }
    assert!(rpcs.iter().any(|rpc| rpc.ends_with("/Create")), "{rpcs:?}");
}

/// How the front's call on behalf of a session is answered.
async fn ask(stage: &Stage, rpc: &str, session: &str, message: &impl Message) -> Code {
    // No field of the answer is read: what counts is the code.
    let answer = stage.ask::<v1::SignOutResponse>(Door::Front, rpc, Some(session), message);
    answer
        .await
        .map_or_else(|status| status.code(), |_| Code::Ok)
}
