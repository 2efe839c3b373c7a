//! Packages that several workspaces share, and those that one has for itself.

use super::{
    super::{Hooks, NoHooks, Phase, Point, Step as _},
    Kind, Stage, Way, misbehave,
    watched::{Part, calls, first},
};
use crate::{
    authz::Permit,
    domain::JobState,
    step::{Clone, InstallDependencies, PUSH_BRANCH},
    system::fake::Answer,
};
use async_trait::async_trait;
use cid_kernel::fs;
use cid_protocol::{
    fault::Fault,
    request::{BuildPackages, Built, Checked, Inspection, Request, RunCommand},
};
use serde_json::json;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::{Barrier, Notify};

const INSTALL: &str = InstallDependencies::KIND;
const BEN: &str = "ben@example.com";

/// The environment that the made-up repository declares, and what says that it is complete.
fn shared(stage: &Stage) -> (PathBuf, PathBuf) {
    let state = &stage.layout.state_dir;
    (
        state.join("packages/demo/key"),
        state.join("built/demo/key"),
    )
}

fn builds(stage: &Stage) -> Vec<BuildPackages> {
    let requests = stage.fake.requests().into_iter();
    let builds = requests.filter_map(|request| match request {
        Request::BuildPackages(ask) => Some(ask),
        _ => None,
    });
    builds.collect()
}

fn discards(stage: &Stage) -> usize {
    let requests = stage.fake.requests();
    let is_discard = |request: &&Request| matches!(request, Request::DiscardPackages(_));
    requests.iter().filter(is_discard).count()
}

/// Answers a build once this is notified.
fn build_when(stage: &Stage, word: &Arc<Notify>) {
    let word = Arc::clone(word);
    stage.fake.answer(move |request| match request {
        Request::BuildPackages(ask) => {
            let (word, target) = (Arc::clone(&word), ask.target.clone());
            Some(Box::pin(async move {
                fs::make_dir(&target, 0o755)?;
                word.notified().await;
                Ok(json!(Built::Complete))
            }))
        }
        _ => None,
    });
}

/// Lets jobs go on only when so many of them have come there.
struct Together {
    point: Point,
    all: Barrier,
}

impl Together {
    fn new(phase: Phase) -> Arc<Self> {
        let step = INSTALL.to_owned();
        Arc::new(Self {
            point: Point { step, phase },
            all: Barrier::new(2),
        })
    }
}

#[async_trait]
impl Hooks for Together {
    async fn at(&self, point: Point) {
        if point == self.point {
            self.all.wait().await;
        }
    }
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn those_who_want_the_same_at_once_build_it_once() {
    let stage = Stage::new();
    let word = Arc::new(Notify::new());
    build_when(&stage, &word);
    let engine = stage.engine(Together::new(Phase::Observed));
    let anna = stage.submit(&engine, Kind::Create).await;
    let ben = stage.submit_of(&engine, Kind::Create, BEN).await;
    until(|| builds(&stage).len() == 1).await;
    // The other one has its turn after this.
    word.notify_one();
    word.notify_one();
    for job in [anna, ben] {
        assert_eq!(stage.ended(&engine, job).await, JobState::Done);
    }
    assert_eq!(builds(&stage).len(), 1);
    let (target, mark) = shared(&stage);
    assert!(target.is_dir() && mark.is_file());
}

#[tokio::test]
async fn a_complete_one_outlives_the_job_that_built_it_and_serves_the_next() {
    let stage = Stage::new();
    misbehave(&[(PUSH_BRANCH, Way::FailAfterApply)]);
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Undone);
    let (target, mark) = shared(&stage);
    assert!(target.is_dir() && mark.is_file());
    assert_eq!(discards(&stage), 0);
    misbehave(&[]);
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    let builds = builds(&stage);
    assert_eq!(builds.len(), 1);
    assert_eq!(builds[0].target, target);
    // Not the helper's own, which is a person's in a sandbox.
    assert!(builds[0].own_home && !builds[0].or_pip);
}

#[tokio::test]
async fn one_that_is_not_complete_is_built_whatever_is_there() {
    let stage = Stage::new();
    let (target, mark) = shared(&stage);
    fs::make_dir(&target, 0o755).unwrap();
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    assert_eq!(builds(&stage).len(), 1);
    assert!(mark.is_file());
}

#[tokio::test]
async fn one_that_is_damaged_or_gone_is_built_again_and_said() {
    let damages = ["lib/django has changed", "it is gone"];
    for damage in damages {
        let stage = Stage::new();
        assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
        let (target, mark) = shared(&stage);
        if damage == damages[1] {
            std::fs::remove_dir(&target).unwrap();
        } else {
            stage.fake.answer(move |request| match request {
                Request::CheckPackages(_) => {
                    let damage = Some(damage.to_owned());
                    Some(Box::pin(async { Ok(json!(Checked { damage })) }))
                }
                _ => None,
            });
        }
        let engine = stage.engine(Arc::new(NoHooks));
        let job = stage.submit_of(&engine, Kind::Create, BEN).await;
        assert_eq!(stage.ended(&engine, job).await, JobState::Done);
        assert_eq!(builds(&stage).len(), 2);
        assert!(target.is_dir() && mark.is_file());
        let requests = stage.fake.requests();
        let is_seal = |request: &&Request| matches!(request, Request::SealPackages(_));
        assert_eq!(requests.iter().filter(is_seal).count(), 2);
        let events = stage.store.events(job, 0, usize::MAX).await.unwrap();
        assert!(format!("{events:?}").contains(damage), "{events:?}");
    }
}

#[tokio::test]
async fn one_whose_building_anew_fails_is_complete_no_more() {
    let stage = Stage::new();
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    let (target, mark) = shared(&stage);
    std::fs::remove_dir(&target).unwrap();
    stage.fake.answer(|request| match request {
        Request::BuildPackages(_) => Some(Box::pin(async { Err(Fault::new("cannot install")) })),
        _ => None,
    });
    let engine = stage.engine(Arc::new(NoHooks));
    let job = stage.submit_of(&engine, Kind::Create, BEN).await;
    assert_eq!(stage.ended(&engine, job).await, JobState::Undone);
    assert!(!mark.exists());
}

#[tokio::test]
async fn half_of_one_goes_with_its_job_and_nothing_is_asked_where_there_is_none() {
    let stage = Stage::new();
    let (target, mark) = shared(&stage);
    misbehave(&[(Clone::KIND, Way::FailAfterApply)]);
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Undone);
    assert_eq!((builds(&stage).len(), discards(&stage)), (0, 0));
    misbehave(&[(INSTALL, Way::FailApply)]);
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Undone);
    assert_eq!((builds(&stage).len(), discards(&stage)), (0, 0));
    misbehave(&[]);
    stage.fake.answer(|request| match request {
        Request::BuildPackages(_) => {
            let fault = Fault::new("cannot install: no such package");
            Some(Box::pin(async { Err(fault) }))
        }
        _ => None,
    });
    let (job, state) = stage.run(Kind::Create).await;
    assert_eq!(state, JobState::Undone);
    let told = stage.failure(job).await.message;
    assert_eq!(told, "cannot install: no such package");
    // Finishing runs twice in these tests; the second time there is nothing.
    assert_eq!(discards(&stage), 1);
    assert!(!target.exists() && !mark.exists());
}

#[tokio::test]
async fn a_build_of_another_jobs_is_waited_for_and_left_alone() {
    let stage = Stage::new();
    let (target, _) = shared(&stage);
    let word = Arc::new(Notify::new());
    build_when(&stage, &word);
    // Both have looked, and only then the first one builds.
    let engine = stage.engine(Together::new(Phase::Observed));
    let anna = stage.submit(&engine, Kind::Create).await;
    let ben = stage.submit_of(&engine, Kind::Create, BEN).await;
    until(|| target.exists()).await;
    let builder = first(Part::Apply, INSTALL).unwrap();
    let other = if builder == anna { ben } else { anna };
    until(|| {
        calls(other)
            .iter()
            .any(|call| call.part == Part::Apply && call.kind == INSTALL)
    })
    .await;
    engine.cancel(Permit::for_tests(), other).await.unwrap();
    while stage.store.job(other).await.unwrap().unwrap().state != JobState::Cancelled {
        tokio::task::yield_now().await;
    }
    assert_eq!(discards(&stage), 0);
    assert!(target.exists());
    word.notify_one();
    assert_eq!(stage.ended(&engine, builder).await, JobState::Done);
    assert_eq!(builds(&stage).len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_build_can_be_cancelled() {
    let stage = Stage::new();
    let (target, _) = shared(&stage);
    let word = Arc::new(Notify::new());
    build_when(&stage, &word);
    let engine = stage.engine(Arc::new(NoHooks));
    let anna = stage.submit(&engine, Kind::Create).await;
    until(|| target.exists()).await;
    let ben = stage.submit_of(&engine, Kind::Create, BEN).await;
    until(|| calls(ben).iter().any(|call| call.kind == INSTALL)).await;
    engine.cancel(Permit::for_tests(), ben).await.unwrap();
    while stage.store.job(ben).await.unwrap().unwrap().state != JobState::Cancelled {
        tokio::task::yield_now().await;
    }
    word.notify_one();
    assert_eq!(stage.ended(&engine, anna).await, JobState::Done);
}

/// Answers a build as where there is no uv, and how bringing it in ends.
fn without_uv(stage: &Stage, brought: fn() -> Result<(), Fault>) {
    stage.fake.answer(move |request| {
        let answer: Answer = match request {
            Request::BuildPackages(ask) if !ask.or_pip => {
                Some(Box::pin(async { Ok(json!(Built::WantsUv)) }))
            }
            Request::BringUv(_) => Some(Box::pin(async move { brought().map(|()| json!(null)) })),
            _ => None,
        };
        answer
    });
}

#[tokio::test]
async fn a_python_that_packages_want_is_brought_in_and_they_are_built_with_it() {
    let run = |brought: fn() -> Result<(), Fault>| async move {
        let stage = Stage::new();
        stage.fake.answer(move |request| {
            let answer: Answer = match request {
                Request::BuildPackages(ask) if ask.python.is_none() => {
                    Some(Box::pin(async { Ok(json!(Built::WantsPython(9))) }))
                }
                Request::BringPython(ask) if ask.minor == 9 => {
                    Some(Box::pin(async move { brought().map(|()| json!(null)) }))
                }
                _ => None,
            };
            answer
        });
        let (_, state) = stage.run(Kind::Create).await;
        let asked: Vec<_> = builds(&stage).into_iter().map(|b| b.python).collect();
        (state, asked)
    };
    let (state, asked) = run(|| Ok(())).await;
    assert_eq!(state, JobState::Done);
    assert_eq!(asked, [None, Some("3.9".to_owned())]);
    let (state, asked) = run(|| Err(Fault::new("cannot fetch Python 3.9"))).await;
    assert_eq!(state, JobState::Undone);
    assert_eq!(asked, [None]);
}

#[tokio::test]
async fn uv_is_brought_in_and_pip_does_where_it_cannot_be() {
    let stage = Stage::new();
    without_uv(&stage, || Ok(()));
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    let or_pip = |stage: &Stage| -> Vec<bool> { builds(stage).iter().map(|b| b.or_pip).collect() };
    assert_eq!(or_pip(&stage), [false, true]);

    let stage = Stage::new();
    without_uv(&stage, || Err(Fault::new("cannot bring in uv: no network")));
    let (job, state) = stage.run(Kind::Create).await;
    assert_eq!(state, JobState::Done);
    assert_eq!(or_pip(&stage), [false, true]);
    let log = format!(
        "{:?}",
        stage.store.events(job, 0, usize::MAX).await.unwrap()
    );
    assert!(
        log.contains("cannot bring in uv: no network; going on with pip"),
        "{log}"
    );

    let stage = Stage::new();
    without_uv(&stage, || Err(Fault::cancelled()));
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Undone);
    assert_eq!(or_pip(&stage), [false], "who is stopped does not go on");
}

/// Answers that this branch reads others than base.
fn declares_another(stage: &Stage) {
    stage.fake.answer(|request| match request {
        Request::Inspect(_) => Some(Box::pin(async {
            let inspection = Inspection {
                processes: vec![("web".into(), "serve $PORT".into())],
                dependencies_key: Some("other".into()),
                base_key: Some("key".into()),
                ..Inspection::default()
            };
            Ok(serde_json::to_value(inspection).unwrap())
        })),
        _ => None,
    });
}

const MAKE: &str = "[app]\ninstall = [[\"make\", \"deps\"]]\n";

#[tokio::test]
async fn what_the_operators_own_commands_make_is_made_once_for_all() {
    let stage = Stage::with(MAKE);
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    let engine = stage.engine(Arc::new(NoHooks));
    let job = stage.submit_of(&engine, Kind::Create, BEN).await;
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);
    let builds = builds(&stage);
    let [build] = &builds[..] else {
        panic!("{builds:?}");
    };
    assert_eq!(build.install, [["make", "deps"].map(str::to_owned)]);
    assert!(build.own_home && build.or_pip && build.dependencies.is_empty());
    assert_eq!(build.target, shared(&stage).0);
    let requests = stage.fake.requests();
    let runs = |request: &&Request| matches!(request, Request::RunCommand(ask) if ask.command[0] == "make");
    assert_eq!(requests.iter().filter(runs).count(), 0);
}

#[tokio::test]
async fn what_works_in_its_own_tree_alone_is_made_there_and_not_tried_again() {
    let stage = Stage::with(MAKE);
    stage.fake.answer(|request| match request {
        Request::BuildPackages(ask) if !ask.install.is_empty() => {
            Some(Box::pin(async { Ok(json!(Built::NotShared)) }))
        }
        _ => None,
    });
    let engine = stage.engine(Arc::new(NoHooks));
    for email in ["anna@example.com", BEN] {
        let job = stage.submit_of(&engine, Kind::Create, email).await;
        assert_eq!(stage.ended(&engine, job).await, JobState::Done);
    }
    let is_shared = |build: &&BuildPackages| !build.install.is_empty();
    assert_eq!(builds(&stage).iter().filter(is_shared).count(), 1);
    assert!(!shared(&stage).1.exists());
    let requests = stage.fake.requests();
    let runs = |request: &&Request| matches!(request, Request::RunCommand(ask) if ask.command[0] == "make");
    assert_eq!(requests.iter().filter(runs).count(), 2);
}

#[tokio::test]
async fn the_operators_own_commands_fill_one_of_the_workspaces_own_where_it_declares_another() {
    for (command, or_pip) in [("npm", true), ("uv", false)] {
        let stage = Stage::with(&format!(
            "[app]\ninstall = [[\"{command}\", \"ci\"]]\n[env]\nMODE = \"test\"\n"
        ));
        declares_another(&stage);
        let (job, state) = stage.run(Kind::Create).await;
        assert_eq!(state, JobState::Done);
        let directory = stage.layout.work_root.join("demo/anna---example-com");
        let builds = builds(&stage);
        let [build] = &builds[..] else {
            panic!("{builds:?}");
        };
        assert_eq!(build.target, directory.join("venv"));
        assert!(build.dependencies.is_empty());
        assert_eq!(build.or_pip, or_pip);
        let requests = stage.fake.requests().into_iter();
        let mut runs = requests.filter_map(|request| match request {
            Request::RunCommand(ask) if ask.command[0] == command => Some(ask),
            _ => None,
        });
        let RunCommand { env, dir, .. } = runs.next().unwrap();
        assert_eq!(dir, directory.join("src"));
        let text = |name: &str| directory.join(name).to_string_lossy().into_owned();
        assert_eq!(
            env["PATH"],
            format!("{}:/usr/local/bin:/usr/bin:/bin", text("venv/bin"))
        );
        for (name, value) in [
            ("HOME", text("home")),
            ("TMPDIR", text("tmp")),
            ("VIRTUAL_ENV", text("venv")),
            ("UV_PROJECT_ENVIRONMENT", text("venv")),
            ("UV_LINK_MODE", "copy".to_owned()),
            ("MODE", "test".to_owned()),
        ] {
            assert_eq!(env[name], value, "{name}");
        }
        let log = format!(
            "{:?}",
            stage.store.events(job, 0, usize::MAX).await.unwrap()
        );
        assert!(log.contains(&format!("$ {command} ci")), "{log}");
    }
}

#[tokio::test]
async fn one_that_the_operator_keeps_is_used_as_it_is() {
    let venv = tempfile::tempdir().unwrap();
    let project = format!("[app]\nenv = \"{}\"\n", venv.path().display());
    let stage = Stage::with(&project);
    let (job, state) = stage.run(Kind::Create).await;
    assert_eq!(state, JobState::Undone);
    let failure = stage.failure(job).await;
    assert!(
        failure.message.contains("it has no bin folder"),
        "{failure:?}"
    );
    assert!(failure.hint.unwrap().contains("app.env"));
    std::fs::create_dir(venv.path().join("bin")).unwrap();
    assert_eq!(stage.run(Kind::Create).await.1, JobState::Done);
    assert_eq!(builds(&stage).len(), 0);
}

#[tokio::test]
async fn what_all_share_is_built_without_what_differs_and_the_rest_gets_it_filled_in() {
    let env = "[env]\nINDEX = \"a{{b\"\nQUEUE = \"q{number}\"\n";
    let stage = Stage::with(&format!(
        "{env}[app]\nrelease = [[\"warm\", \"{{number}}\", \"{{email}}\"]]\n"
    ));
    for (email, number) in [("anna@example.com", 1), (BEN, 2)] {
        let engine = stage.engine(Arc::new(NoHooks));
        let job = stage.submit_of(&engine, Kind::Create, email).await;
        assert_eq!(stage.ended(&engine, job).await, JobState::Done);
        let requests = stage.fake.requests();
        let released = requests.iter().rev().find_map(|request| match request {
            Request::RunCommand(ask) if ask.command[0] == "warm" => Some(ask),
            _ => None,
        });
        let released = released.unwrap();
        assert_eq!(
            released.command[1..],
            [number.to_string(), email.to_owned()]
        );
        assert_eq!(released.env["QUEUE"], format!("q{number}"));
        assert_eq!(released.env["INDEX"], "a{b");
    }
    let built = builds(&stage);
    assert_eq!(built.len(), 1, "the number is not part of what is built");
    assert_eq!(built[0].env["INDEX"], "a{b");
    assert!(!built[0].env.contains_key("QUEUE"));
}
