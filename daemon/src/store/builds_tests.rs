use super::*;
use uuid::Uuid;

fn draft(store_dir: &std::path::Path) -> Build {
    Build {
        id: 0,
        project: ProjectName::parse("demo").unwrap(),
        number: 0,
        source: Source {
            commit: "c".repeat(40),
            reference: "main".into(),
            subject: "One".into(),
            author: "anna@example.com".into(),
        },
        recipe: "r".into(),
        state: BuildState::Queued,
        verdict: None,
        digest: None,
        packages: None,
        directory: store_dir.to_owned(),
        created_at: jiff::Timestamp::now(),
        took_ms: None,
        job: Uuid::now_v7(),
    }
}

#[tokio::test]
async fn a_build_is_made_once_goes_the_way_of_its_job_and_its_number_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("cid.db")).unwrap();
    let submit = async |again| {
        let new = NewBuild {
            draft: draft(dir.path()),
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
    assert!(
        !store.forget_build(one.id).await.unwrap(),
        "its job is live"
    );
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
    assert!(store.forget_build(three.id).await.unwrap());
    assert_eq!(submit(true).await.0.number, 4);
}
