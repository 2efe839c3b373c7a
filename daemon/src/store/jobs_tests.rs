use super::*;
use crate::{
    domain::{Creator, Name},
    store::Artifact,
};
use tempfile::TempDir;

/// A ledger and the workspaces that tests request in it.
struct Ledger {
    store: Store,
    _dir: TempDir,
}

impl Ledger {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        Self { store, _dir: dir }
    }

    async fn submit(&self, kind: JobKind, subject: Subject, limit: u32) -> (Uuid, Appended) {
        let id = Uuid::now_v7();
        let new = NewJob {
            follows_push: false,
            build: None,
            id,
            kind,
            subject,
            plan: Box::new(|_| Ok(serde_json::Value::Null)),
            limit,
        };
        (id, self.store.submit(new).await.unwrap())
    }

    /// A job that makes a workspace for this address.
    async fn create(&self, email: &str) -> (Uuid, Workspace) {
        let (id, appended) = self.submit(JobKind::Create, new(email), 9).await;
        let Appended::Job(workspace) = appended else {
            panic!("{email} has no new workspace");
        };
        (id, *workspace)
    }

    /// A job about an existing workspace.
    async fn on(&self, kind: JobKind, workspace: &Workspace) -> Uuid {
        let subject = Subject::Existing(Box::new(workspace.clone()), workspace.state);
        let (id, appended) = self.submit(kind, subject, 9).await;
        assert!(matches!(appended, Appended::Job(_)));
        id
    }

    async fn enter(&self, job: Uuid, states: &[JobState]) {
        let lines = states.iter().map(|state| What::Job { state: *state });
        self.store.append(job, lines.collect()).await.unwrap();
    }

    async fn state(&self, job: Uuid) -> Option<JobState> {
        let row = self.store.job(job).await.unwrap();
        row.map(|row| row.state)
    }
}

/// Retrying it would take away what a newer one has made.
#[tokio::test]
async fn a_deployment_that_is_done_ends_older_ones_that_are_stuck() {
    use JobState::{Cancelled, Done, Running, Stuck};
    let ledger = Ledger::new();
    let (made, anna) = ledger.create("anna@example.com").await;
    ledger.enter(made, &[Running, Done]).await;
    let stuck = ledger.on(JobKind::Deploy, &anna).await;
    ledger.enter(stuck, &[Running, Stuck]).await;
    // A restart follows nothing.
    let restarted = ledger.on(JobKind::Restart, &anna).await;
    ledger.enter(restarted, &[Running, Done]).await;
    assert_eq!(ledger.state(stuck).await, Some(Stuck));
    let newer = ledger.on(JobKind::Deploy, &anna).await;
    ledger.enter(newer, &[Running, Done]).await;
    assert_eq!(ledger.state(stuck).await, Some(Cancelled));
}

#[tokio::test]
async fn one_that_fell_asleep_since_somebody_looked_is_asleep_for_the_next_job_too() {
    use JobState::{Done, Running, Undoing, Undone};
    let ledger = Ledger::new();
    let (made, anna) = ledger.create("anna@example.com").await;
    ledger.enter(made, &[Running, Done]).await;
    let now = async || ledger.store.workspace(anna.id).await.unwrap().unwrap();
    let awake = now().await;
    let used = ledger.store.used().await.unwrap()[&anna.id];
    let asleep = ledger.on(JobKind::Sleep, &awake).await;
    assert_eq!(now().await.state, WorkspaceState::Ready);
    ledger.enter(asleep, &[Running, Done]).await;
    assert_eq!(now().await.state, WorkspaceState::Asleep);
    // To sleep is no use of it.
    assert_eq!(ledger.store.used().await.unwrap()[&anna.id], used);
    let failed = ledger.on(JobKind::Deploy, &awake).await;
    assert_eq!(now().await.state, WorkspaceState::Asleep);
    ledger.enter(failed, &[Undoing, Undone]).await;
    assert_eq!(now().await.state, WorkspaceState::Asleep);
    let woken = ledger.on(JobKind::Start, &awake).await;
    ledger.enter(woken, &[Running, Done]).await;
    assert_eq!(now().await.state, WorkspaceState::Ready);
    let stopped = ledger.on(JobKind::Stop, &awake).await;
    ledger.enter(stopped, &[Running, Done]).await;
    assert_eq!(now().await.state, WorkspaceState::Stopped);
    let units = [anna.unit()].into();
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    ledger.store.note_visits(units, at).await.unwrap();
    assert_eq!(ledger.store.used().await.unwrap()[&anna.id], at);
}

fn new(email: &str) -> Subject {
    let email = crate::domain::Email::parse(email).unwrap();
    let make = |name: Name| Workspace {
        id: 0,
        owner: email.clone().into(),
        project: ProjectName::parse("shop").unwrap(),
        name: name.clone(),
        state: WorkspaceState::Creating,
        port: None,
        directory: format!("/srv/{name}").into(),
        branch: name.to_string(),
        url: String::new(),
        commit: None,
        deployment: 0,
        created_at: jiff::Timestamp::now(),
        creator: Creator::User(0),
        job: Uuid::nil(),
        branch_gone_at: None,
    };
    Subject::New {
        quota: Quota {
            in_all: 99,
            per_project: 99,
            per_creator: 99,
        },
        candidates: Name::candidates(&email).map(make).collect(),
    }
}

#[tokio::test]
async fn so_many_jobs_are_live_and_no_more() {
    let ledger = Ledger::new();
    let (first, workspace) = ledger.create("a@example.com").await;
    let (_, second) = ledger
        .submit(JobKind::Create, new("b@example.com"), 2)
        .await;
    assert!(matches!(second, Appended::Job(_)));
    let (third, refused) = ledger
        .submit(JobKind::Create, new("c@example.com"), 2)
        .await;
    let Appended::TooMany(oldest) = refused else {
        panic!("a third job is live");
    };
    let named: Vec<&str> = oldest
        .iter()
        .map(|job| job.about.owner().unwrap().as_str())
        .collect();
    assert_eq!(named, ["a@example.com", "b@example.com"]);
    assert_eq!(ledger.state(third).await, None);
    let all = ledger.store.workspaces(None, 0, 9).await.unwrap();
    assert_eq!(all.len(), 2);
    // A job that waits for a person is not at work.
    ledger.enter(first, &[JobState::Stuck]).await;
    let (_, again) = ledger
        .submit(JobKind::Create, new("c@example.com"), 2)
        .await;
    assert!(matches!(again, Appended::Job(_)));
    let existing = Subject::Existing(Box::new(workspace), WorkspaceState::Ready);
    let (_, refused) = ledger.submit(JobKind::Restart, existing, 2).await;
    assert!(matches!(refused, Appended::TooMany(_)));
}

#[tokio::test]
async fn old_jobs_that_have_ended_are_forgotten_with_their_lines_and_no_others() {
    use JobState as J;
    let ledger = Ledger::new();
    let mut jobs = Vec::new();
    for (address, states) in [
        ("done@example.com", &[J::Running, J::Done][..]),
        ("undone@example.com", &[J::Undoing, J::Undone]),
        ("cancelled@example.com", &[J::Undoing, J::Cancelled]),
        ("stuck@example.com", &[J::Running, J::Stuck]),
        ("running@example.com", &[J::Running]),
        ("undoing@example.com", &[J::Undoing]),
        ("queued@example.com", &[]),
    ] {
        let (job, _) = ledger.create(address).await;
        if !states.is_empty() {
            ledger.enter(job, states).await;
        }
        jobs.push(job);
    }
    let ended = ledger.store.job(jobs[0]).await.unwrap().unwrap().ended_at;
    // What ended then, or later, stays.
    assert_eq!(ledger.store.forget_jobs(ended.unwrap()).await.unwrap(), 0);
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3600);
    assert_eq!(ledger.store.forget_jobs(later).await.unwrap(), 3);
    for (index, job) in jobs.into_iter().enumerate() {
        let lines = ledger.store.events(job, 0, 9).await.unwrap().len();
        let is_kept = index >= 3;
        assert_eq!(ledger.state(job).await.is_some(), is_kept, "{index}");
        assert_eq!(lines > 0, is_kept, "{index}");
    }
}

#[tokio::test]
async fn a_workspace_that_goes_takes_its_stuck_jobs_and_its_files_contents_along() {
    let ledger = Ledger::new();
    let (other_job, other) = ledger.create("other@example.com").await;
    let (create, workspace) = ledger.create("anna@example.com").await;
    for (job, workspace) in [(other_job, &other), (create, &workspace)] {
        ledger
            .enter(job, &[JobState::Running, JobState::Stuck])
            .await;
        let content = "server {}".to_owned();
        let set = ledger
            .store
            .set_artifact(workspace.id, Artifact::Vhost, Some(content));
        set.await.unwrap();
    }
    let failed = ledger.store.workspace(workspace.id).await.unwrap().unwrap();
    assert_eq!(failed.state, WorkspaceState::Failed);
    let delete = ledger.on(JobKind::Delete, &failed).await;
    ledger
        .enter(delete, &[JobState::Running, JobState::Done])
        .await;
    assert!(
        ledger
            .store
            .workspace(workspace.id)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(ledger.state(create).await, Some(JobState::Cancelled));
    let row = ledger.store.job(create).await.unwrap().unwrap();
    assert!(row.ended_at.is_some());
    assert_eq!(ledger.state(delete).await, Some(JobState::Done));
    let vhost = |id| ledger.store.artifact(id, Artifact::Vhost);
    assert_eq!(vhost(workspace.id).await.unwrap(), None);
    // Another's are its own.
    assert_eq!(ledger.state(other_job).await, Some(JobState::Stuck));
    assert!(vhost(other.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_job_that_is_taken_back_leaves_its_workspace_as_it_was() {
    let ledger = Ledger::new();
    let (create, workspace) = ledger.create("anna@example.com").await;
    ledger
        .enter(create, &[JobState::Running, JobState::Done])
        .await;
    let state = async || {
        let found = ledger.store.workspace(workspace.id).await.unwrap();
        found.map(|workspace| workspace.state)
    };
    assert_eq!(state().await, Some(WorkspaceState::Ready));
    for end in [JobState::Undone, JobState::Cancelled] {
        let ready = ledger.store.workspace(workspace.id).await.unwrap().unwrap();
        let subject = Subject::Existing(Box::new(ready), WorkspaceState::Deleting);
        let (delete, _) = ledger.submit(JobKind::Delete, subject, 9).await;
        assert_eq!(state().await, Some(WorkspaceState::Deleting));
        ledger.enter(delete, &[JobState::Undoing, end]).await;
        assert_eq!(state().await, Some(WorkspaceState::Ready), "{end:?}");
    }
    // A create that is taken back leaves none.
    let (create, bert) = ledger.create("bert@example.com").await;
    ledger
        .enter(create, &[JobState::Undoing, JobState::Undone])
        .await;
    assert!(ledger.store.workspace(bert.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_number_is_the_smallest_free_one_and_goes_with_its_workspace() {
    use JobState as J;
    let ledger = Ledger::new();
    let store = &ledger.store;
    let mut made = Vec::new();
    for email in ["a@example.com", "b@example.com", "c@example.com"] {
        made.push(ledger.create(email).await);
    }
    assert_eq!(store.number_of(made[0].1.id).await.unwrap(), None);
    for (wanted, (_, workspace)) in (1..).zip(&made) {
        for _ in 0..2 {
            assert_eq!(store.reserve_number(workspace.id).await.unwrap(), wanted);
        }
    }
    // One creation is taken back, one workspace is deleted.
    ledger.enter(made[1].0, &[J::Undone]).await;
    ledger.enter(made[0].0, &[J::Done]).await;
    let delete = ledger.on(JobKind::Delete, &made[0].1).await;
    ledger.enter(delete, &[J::Done]).await;
    for (email, wanted) in [
        ("d@example.com", 1),
        ("b@example.com", 2),
        ("e@example.com", 4),
    ] {
        let (_, workspace) = ledger.create(email).await;
        assert_eq!(store.reserve_number(workspace.id).await.unwrap(), wanted);
    }
    assert_eq!(store.number_of(made[2].1.id).await.unwrap(), Some(3));
}
