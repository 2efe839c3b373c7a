//! Deployments: the next instance takes over, whatever stops the job on its way, and nothing happens where nothing
//! has changed.

use super::{
    super::{NoHooks, Phase, Step as _},
    HoldAt, Kind, Stage,
    stage::PUSHED,
};
use crate::{
    domain::{JobState, Workspace, event::What},
    step::{RetireInstance, SwapWorkers},
    store::Artifact,
};
use cid_kernel::fs;
use cid_protocol::{
    request::{Inspection, ReadVariable, Request, TreeState, Unset},
    run_file::RunFile,
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

async fn workspace(stage: &Stage) -> Workspace {
    stage.store.workspaces(None, 0, 1).await.unwrap().remove(0)
}

async fn notes(stage: &Stage, job: Uuid) -> String {
    let events = stage.store.events(job, 0, usize::MAX).await.unwrap();
    let note = |what: What| match what {
        What::Note { text, .. } | What::Kept { text, .. } => Some(text),
        _ => None,
    };
    let notes: Vec<String> = events.into_iter().filter_map(|e| note(e.what)).collect();
    notes.join("\n")
}

/// What runs: names of program files.
fn programs(stage: &Stage) -> Vec<String> {
    fs::names(&stage.layout.program_dir()).unwrap()
}

#[tokio::test]
async fn each_deployment_leaves_one_instance_with_the_next_number() {
    let stage = Stage::ready_for(Kind::DEPLOY).await;
    for number in 1..=2 {
        let before = workspace(&stage).await;
        if number == 2 {
            let other = PUSHED.replace('9', "8");
            stage.fake.push("anna---example-com", &other, 1);
        }
        let (_, state) = stage.run(Kind::DEPLOY).await;
        assert_eq!(state, JobState::Done);
        let after = workspace(&stage).await;
        assert_eq!(after.deployment, number);
        assert!(after.port.is_some() && after.port != before.port);
        let instance = format!("demo.anna---example-com.{number}");
        assert_eq!(after.instance().as_str(), instance);
        assert_eq!(programs(&stage), [format!("{instance}.conf")]);
        let run_files = fs::names(&stage.layout.run_file_dir()).unwrap();
        assert_eq!(run_files, [format!("{instance}.json")]);
        assert_eq!(stage.store.ports().await.unwrap().len(), 1);
        let run_file = RunFile::read(&stage.layout.run_file(&after.instance())).unwrap();
        assert!(run_file.env["SOCKET"].ends_with(&format!("run/web.{number}.sock")));
        assert_eq!(run_file.env["PORT"], after.port.unwrap().to_string());
        // At last all of its processes start by themselves.
        let wanted = stage.store.artifact(after.id, Artifact::Program);
        let wanted = wanted.await.unwrap().unwrap();
        assert!(!wanted.contains("autostart=false"), "{wanted}");
        let file = stage.layout.program_dir().join(format!("{instance}.conf"));
        assert_eq!(std::fs::read_to_string(file).unwrap(), wanted);
    }
    assert_eq!(
        workspace(&stage).await.commit,
        Some(PUSHED.replace('9', "8"))
    );
}

#[tokio::test]
async fn what_cid_sets_by_itself_stays_over_a_deployment() {
    let stage = Stage::new();
    stage.fake.answer(|request| match request {
        Request::Inspect(_) => Some(Box::pin(async {
            let read = |name: &str| ReadVariable {
                name: name.into(),
                path: "settings.py".into(),
                unset: Unset::Fails,
                line: "env.list(".into(),
            };
            let names = [
                "SECRET_KEY",
                "ALLOWED_HOSTS",
                "CSRF_TRUSTED_ORIGINS",
                "DATABASE_URL",
            ];
            let inspection = Inspection {
                processes: vec![("web".into(), "serve $PORT".into())],
                reads: names.map(read).into(),
                ..Inspection::default()
            };
            Ok(json!(inspection))
        })),
        _ => None,
    });
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    let run_file = |workspace: &Workspace| {
        RunFile::read(&stage.layout.run_file(&workspace.instance())).unwrap()
    };
    let before = workspace(&stage).await;
    let first = run_file(&before);
    assert!(first.env["ALLOWED_HOSTS"].starts_with("anna---example-com."));
    let origin = before.url.trim_end_matches('/');
    assert_eq!(first.env["CSRF_TRUSTED_ORIGINS"], origin);
    let file = before.directory.join("home/app.sqlite3");
    assert_eq!(
        first.env["DATABASE_URL"],
        format!("sqlite:///{}", file.display())
    );
    assert_eq!(first.env["SECRET_KEY"].len(), 43);
    assert_eq!(first.made_from.own.len(), 4);
    stage
        .fake
        .push("anna---example-com", &PUSHED.replace('9', "8"), 1);
    assert_eq!(stage.run(Kind::DEPLOY).await.1, JobState::Done);
    let after = workspace(&stage).await;
    assert_ne!(after.instance(), before.instance());
    assert_eq!(run_file(&after).env["SECRET_KEY"], first.env["SECRET_KEY"]);
}

#[tokio::test]
async fn where_nothing_has_changed_nothing_happens() {
    let stage = Stage::ready_for(Kind::RESTART).await;
    let before = stage.snapshot().await;
    let asked = stage.fake.requests().len();
    let (job, state) = stage.run(Kind::DEPLOY).await;
    assert_eq!(state, JobState::Done);
    assert!(notes(&stage, job).await.contains("nothing has changed"));
    for event in stage.store.milestones(job).await.unwrap() {
        if let What::Applied { step, idle, .. } = event.what {
            assert!(idle, "step {step} has nothing to do");
        }
    }
    assert_eq!(stage.snapshot().await, before);
    let ran = |request: &Request| matches!(request, Request::RunCommand(_) | Request::Configure(_));
    assert!(!stage.fake.requests()[asked..].iter().any(ran));
}

#[tokio::test]
async fn a_tree_that_was_left_alone_is_deployed_as_it_is_and_that_is_said() {
    let stage = Stage::ready_for(Kind::RESTART).await;
    stage.fake.answer(|request| match request {
        Request::UpdateTree(_) => {
            let state = TreeState {
                commit: PUSHED.into(),
                snapshot: PUSHED.into(),
                fingerprint: "changed".into(),
                uncommitted: 1,
                left_alone: Some("it has uncommitted changes (a.py)".into()),
            };
            Some(Box::pin(async move { Ok(json!(state)) }))
        }
        _ => None,
    });
    let (job, state) = stage.run(Kind::DEPLOY).await;
    assert_eq!(state, JobState::Done);
    let told = notes(&stage, job).await;
    assert!(told.contains("uncommitted changes (a.py)"), "{told}");
    assert_eq!(workspace(&stage).await.deployment, 1);
    // The same again changes nothing.
    let (job, _) = stage.run(Kind::DEPLOY).await;
    assert!(notes(&stage, job).await.contains("nothing has changed"));
}

#[tokio::test]
async fn two_workers_never_run_at_once_and_web_never_stops_before_the_switch() {
    let stage = Stage::ready_for(Kind::DEPLOY).await;
    let held = HoldAt::new(SwapWorkers::KIND, Phase::Observed);
    let engine = stage.engine(held.clone());
    let job = stage.submit(&engine, Kind::DEPLOY).await;
    held.reached().await;
    let starts = |name: &str| {
        let file = stage.layout.program_dir().join(name);
        let text = std::fs::read_to_string(file).unwrap();
        text.matches("autostart=true").count()
    };
    // Web and worker; web alone.
    assert_eq!(starts("demo.anna---example-com.conf"), 2);
    assert_eq!(starts("demo.anna---example-com.1.conf"), 1);
    held.go_on();
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);

    let stage = Stage::ready_for(Kind::DEPLOY).await;
    let held = HoldAt::new(RetireInstance::KIND, Phase::Observed);
    let engine = stage.engine(held.clone());
    let job = stage.submit(&engine, Kind::DEPLOY).await;
    held.reached().await;
    let starts = |name: &str| {
        let file = stage.layout.program_dir().join(name);
        let text = std::fs::read_to_string(file).unwrap();
        text.matches("autostart=true").count()
    };
    assert_eq!(starts("demo.anna---example-com.conf"), 1);
    assert_eq!(starts("demo.anna---example-com.1.conf"), 2);
    // The next daemon goes on.
    let next = stage.engine(Arc::new(NoHooks));
    next.recover().await.unwrap();
    assert_eq!(stage.ended(&next, job).await, JobState::Done);
}

#[tokio::test]
async fn once_the_old_processes_stop_a_deployment_cannot_be_cancelled() {
    let stage = Stage::ready_for(Kind::DEPLOY).await;
    let held = HoldAt::new(RetireInstance::KIND, Phase::Observed);
    let engine = stage.engine(held.clone());
    let job = stage.submit(&engine, Kind::DEPLOY).await;
    held.reached().await;
    let refused = engine.cancel(crate::authz::Permit::for_tests(), job).await;
    assert!(refused.unwrap_err().to_string().contains("it is ending"));
    held.go_on();
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);
}

/// After a reboot the one that listens first has the name: it is given once more before what may have it goes.
#[tokio::test]
async fn the_name_of_the_socket_is_given_before_the_one_that_may_have_it_goes() {
    use super::{Way, misbehave};
    let named = |stage: &Stage| -> Vec<u32> {
        let requests = stage.fake.requests().into_iter();
        let named = requests.filter_map(|request| match request {
            Request::AnswerBy(ask) => Some(ask.instance),
            _ => None,
        });
        named.collect()
    };
    // The made-up app listens on a port.
    let on_socket = |stage: &Stage, name: &str| {
        let file = stage.layout.run_file_dir().join(name);
        let mut text: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        text["web_socket"] = json!(stage.layout.run_dir.join("web.sock"));
        std::fs::write(&file, text.to_string()).unwrap();
    };
    let stage = Stage::ready_for(Kind::DEPLOY).await;
    let held = HoldAt::new(RetireInstance::KIND, Phase::Observed);
    let engine = stage.engine(held.clone());
    let job = stage.submit(&engine, Kind::DEPLOY).await;
    held.reached().await;
    on_socket(&stage, "demo.anna---example-com.1.json");
    held.go_on();
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);
    assert_eq!(named(&stage), [1], "before the old ones stop");

    let stage = Stage::ready_for(Kind::DEPLOY).await;
    on_socket(&stage, "demo.anna---example-com.json");
    misbehave(&[(SwapWorkers::KIND, Way::FailApply)]);
    assert_eq!(stage.run(Kind::DEPLOY).await.1, JobState::Undone);
    misbehave(&[]);
    assert_eq!(named(&stage), [0], "after the new one went");
}

#[tokio::test]
async fn a_stuck_deployment_goes_with_its_workspace() {
    use super::{Way, misbehave};
    let stage = Stage::ready_for(Kind::DEPLOY).await;
    misbehave(&[(SwapWorkers::KIND, Way::FailUndo(9))]);
    assert_eq!(stage.run(Kind::DEPLOY).await.1, JobState::Stuck);
    assert_eq!(programs(&stage).len(), 2);
    misbehave(&[]);
    assert_eq!(stage.run(Kind::DeleteByForce).await.1, JobState::Done);
    assert_eq!(programs(&stage), [""; 0]);
    assert!(fs::names(&stage.layout.run_file_dir()).unwrap().is_empty());
    assert!(stage.store.ports().await.unwrap().is_empty());
}
