use super::*;
use crate::{
    domain::{Deployment, Name, Owner, Workspace, WorkspaceState},
    store::{Appended, Keeps, KeptBy, NewJob, Quota, Subject},
};
use uuid::Uuid;

#[tokio::test]
async fn a_build_is_made_once_goes_the_way_of_its_job_and_its_number_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("cid.db")).unwrap();
    let submit = async |again| {
        let new = NewBuild {
            draft: Build::drafted(dir.path().to_owned()),
            kind: JobKind::Build,
            again,
            creator: Creator::User(0),
            plan: Box::new(|_| Ok(serde_json::json!({}))),
            limit: 9,
        };
        match store.submit_build(new).await.unwrap() {
            AppendedBuild::Job(build) => (*build, true),
            AppendedBuild::Exists(build) => (*build, false),
            AppendedBuild::TooMany(_) => panic!("too many"),
        }
    };
    let enter = async |job, state| store.append(job, vec![What::Job { state }]).await.unwrap();
    let state = async |number| {
        let project = ProjectName::parse("demo").unwrap();
        store.build(project, number).await.unwrap().unwrap().state
    };
    let (one, is_new) = submit(false).await;
    assert!(is_new && one.number == 1 && one.directory == dir.path().join("1"));
    let (same, is_new) = submit(false).await;
    assert!(!is_new && same.id == one.id);
    let kept = store.forget_build(one.id, Some(Keeps::new())).await;
    assert_eq!(kept.unwrap(), Some(KeptBy::Job(one.job)));
    enter(one.job, JobState::Running).await;
    assert_eq!(state(1).await, BuildState::Building);
    store.set_testing(one.id).await.unwrap();
    // After a restart of the daemon.
    enter(one.job, JobState::Running).await;
    assert_eq!(state(1).await, BuildState::Testing);
    let verdict = Verdict {
        passed: true,
        ..Verdict::default()
    };
    store.set_verdict(one.id, verdict).await.unwrap();
    enter(one.job, JobState::Done).await;
    assert_eq!(state(1).await, BuildState::Passed);
    let (two, _) = submit(true).await;
    enter(two.job, JobState::Undone).await;
    assert_eq!((two.number, state(2).await), (2, BuildState::Error));
    let (same, is_new) = submit(false).await;
    assert!(
        !is_new && same.number == 1,
        "one that could not be made does not count"
    );
    let (three, _) = submit(true).await;
    store
        .set_verdict(three.id, Verdict::default())
        .await
        .unwrap();
    enter(three.job, JobState::Done).await;
    assert_eq!(state(3).await, BuildState::Failed);
    let kept = store.forget_build(three.id, Some(Keeps::new())).await;
    assert_eq!(kept.unwrap(), None);
    assert_eq!(submit(true).await.0.number, 4);
}

/// A store with builds 1 to 4 that are made, of which 1, 3, 2 came to run in a stage, in this order.
async fn deployed() -> (tempfile::TempDir, Store, Vec<Build>, Workspace) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("cid.db")).unwrap();
    let mut builds = Vec::new();
    for _ in 0..4 {
        let new = NewBuild {
            draft: Build::drafted(dir.path().to_owned()),
            kind: JobKind::Build,
            again: true,
            creator: Creator::User(0),
            plan: Box::new(|_| Ok(serde_json::json!({}))),
            limit: 9,
        };
        let AppendedBuild::Job(build) = store.submit_build(new).await.unwrap() else {
            panic!("no new build");
        };
        let state = JobState::Undone;
        store
            .append(build.job, vec![What::Job { state }])
            .await
            .unwrap();
        builds.push(*build);
    }
    let name = Name::of_stage("live").unwrap();
    let row = Workspace {
        id: 0,
        owner: Owner::Stage(name.clone()),
        project: builds[0].project.clone(),
        state: WorkspaceState::Creating,
        port: None,
        branch_gone_at: None,
        directory: dir.path().join("live"),
        branch: String::new(),
        url: String::new(),
        commit: None,
        deployment: 0,
        created_at: jiff::Timestamp::now(),
        job: Uuid::nil(),
        creator: Creator::User(0),
        name,
    };
    let Appended::Job(row) = promote(&store, row, &builds[0]).await else {
        panic!("no stage");
    };
    for number in [0, 2, 1] {
        ran(&store, &row, &builds[number]).await;
    }
    (dir, store, builds, *row)
}

async fn promote(store: &Store, stage: Workspace, build: &Build) -> Appended {
    let id = Uuid::now_v7();
    let new = NewJob {
        follows_push: false,
        id,
        kind: JobKind::Deploy,
        subject: match stage.id {
            0 => Subject::New {
                candidates: vec![stage],
                quota: Quota {
                    in_all: 9,
                    per_project: 9,
                    per_creator: 9,
                },
            },
            _ => Subject::Existing(Box::new(stage.clone()), stage.state),
        },
        plan: Box::new(|_| Ok(serde_json::json!({}))),
        build: Some(build.id),
        limit: 9,
    };
    let appended = store.submit(new).await.unwrap();
    if matches!(appended, Appended::Job(_)) {
        let state = JobState::Done;
        store.append(id, vec![What::Job { state }]).await.unwrap();
    }
    appended
}

async fn ran(store: &Store, stage: &Workspace, build: &Build) {
    let deployment = Deployment {
        fell: false,
        workspace: stage.id,
        build: build.number,
        commit: build.source.commit.clone(),
        job: Uuid::now_v7(),
        by: "the test".into(),
        at: jiff::Timestamp::now(),
        released: true,
        backup: None,
    };
    store.add_deployment(deployment).await.unwrap();
}

#[tokio::test]
async fn a_build_that_a_stage_came_to_run_meanwhile_is_not_forgotten() {
    let (_dir, store, builds, stage) = deployed().await;
    let live = || Some(KeptBy::Stage(Name::of_stage("live").unwrap()));
    let forget = async |number: usize, keep: Option<usize>| {
        let keeps = keep.map(|keep| Keeps::from([(Name::of_stage("live").unwrap(), keep)]));
        store
            .forget_build(builds[number - 1].id, keeps)
            .await
            .unwrap()
    };
    for kept in [2, 3] {
        assert_eq!(forget(kept, Some(1)).await, live(), "{kept}");
    }
    assert_eq!(forget(1, Some(2)).await, live());
    // It comes to run after somebody has seen that nothing keeps it.
    ran(&store, &stage, &builds[0]).await;
    assert_eq!(forget(1, Some(1)).await, live());
    assert_eq!(forget(2, Some(1)).await, live());
    assert_eq!(forget(3, Some(1)).await, None);
    assert_eq!(forget(4, Some(9)).await, None);
    assert_eq!(forget(1, None).await, None, "doctor asks for no stage");
}

#[tokio::test]
async fn a_build_that_is_gone_is_not_deployed() {
    let (_dir, store, builds, stage) = deployed().await;
    let is_begun = async |number: usize| {
        let appended = promote(&store, stage.clone(), &builds[number - 1]).await;
        match appended {
            Appended::Job(_) => true,
            Appended::NoBuild => false,
            _ => panic!("something else is in the way"),
        }
    };
    assert!(is_begun(4).await);
    assert_eq!(store.forget_build(builds[3].id, None).await.unwrap(), None);
    assert!(!is_begun(4).await);
    let jobs = store.jobs(crate::store::JobFilter::default(), 99).await;
    assert_eq!(jobs.unwrap().len(), 6, "nothing was begun");
}
