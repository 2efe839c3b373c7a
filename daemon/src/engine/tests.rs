//! Every plan, every step, every way to fail: afterwards the made-up machine is as it was, or the
//! job is done. The points come from the plans themselves, and a registered step that no plan
//! reaches fails the last test.

use super::{
    AnyStep, Cx, Engine, Hooks, NoHooks, Phase, Plan, Planned, Point, Submission, event::What,
};
use crate::{
    authz::Permit,
    config::{Limits, Projects, Settings},
    domain::{Account, Email, Isolation, JobKind, JobState, Name, Workspace, WorkspaceState},
    layout::Layout,
    plan::{self, BranchChoice, Facts},
    step,
    store::{Store, Subject},
    system::{Fault, fake::Fake, fs},
};
use async_trait::async_trait;
use serde_json::Value;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;

/// A made-up machine with one project on it.
struct Stage {
    dir: TempDir,
    layout: Arc<Layout>,
    fake: Fake,
    store: Store,
    projects: Arc<Projects>,
}

/// As on a host, whose plans have all the steps. Its number is this process's own, which may give
/// files to nobody else.
fn account() -> Account {
    Account {
        name: "cidw-made-up".into(),
        uid: nix::unistd::geteuid().as_raw(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Create,
    CreateBorrowed,
    Delete,
    DeleteBorrowed,
    DeleteWithBranch,
    Restart,
    RepairAccess,
}

const KINDS: [Kind; 7] = [
    Kind::Create,
    Kind::CreateBorrowed,
    Kind::Delete,
    Kind::DeleteBorrowed,
    Kind::DeleteWithBranch,
    Kind::Restart,
    Kind::RepairAccess,
];

impl Kind {
    fn isolation(self) -> Isolation {
        match self {
            Self::CreateBorrowed | Self::DeleteBorrowed => Isolation::Owner(account().name),
            _ => Isolation::Workspace,
        }
    }
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::sandbox(dir.path()));
        for dir in [
            layout.projects_dir(),
            layout.run_file_dir(),
            layout.vhost_dir(),
            layout.program_dir(),
            layout.trash_dir(),
            layout.log_trash_dir(),
            layout.git_dir(),
            layout.app_logs_dir(),
            layout.work_root.join("demo/.trash"),
            layout.state_dir.join("built/demo"),
            layout.state_dir.join("environments/demo"),
        ] {
            fs::make_dir(&dir, 0o755).unwrap();
        }
        let project = "domain = \"demo.localhost\"\n[git]\nurl = \"/srv/demo.git\"\n";
        std::fs::write(layout.projects_dir().join("demo.toml"), project).unwrap();
        let projects = Arc::new(Projects::load(&layout).unwrap());
        let store = Store::open(&layout.database()).unwrap();
        let fake = Fake::new(Arc::clone(&layout));
        Self {
            dir,
            layout,
            fake,
            store,
            projects,
        }
    }

    fn engine(&self, hooks: Arc<dyn Hooks>) -> Engine {
        let settings = Arc::new(Settings::default());
        Engine::new(
            self.fake.host(),
            self.store.clone(),
            Arc::clone(&self.projects),
            settings,
            hooks,
        )
    }

    async fn submit(&self, engine: &Engine, kind: Kind) -> Uuid {
        let email = Email::parse("anna@example.com").unwrap();
        let project = self.projects.only().unwrap();
        let layout = Arc::clone(&self.layout);
        let submission = match kind {
            Kind::Create | Kind::CreateBorrowed => {
                let isolation = kind.isolation();
                let work_dir = self.layout.work_root.join("demo");
                let planned = Arc::clone(&project);
                Submission {
                    kind: JobKind::Create,
                    subject: Box::new(move |job| Subject::New {
                        names: Name::candidates(&email).collect(),
                        make: Box::new(move |name| {
                            let isolation = isolation.clone();
                            let made = workspace(&email, &project, name, &work_dir, job);
                            Workspace { isolation, ..made }
                        }),
                    }),
                    plan: Box::new(move |workspace| {
                        let settings = Settings::default();
                        plan::create(&Facts {
                            layout: &layout,
                            settings: &settings,
                            project: &planned,
                            workspace,
                            account: Some(account()),
                        })
                    }),
                }
            }
            Kind::Delete | Kind::DeleteBorrowed | Kind::DeleteWithBranch => {
                let workspace = self.store.workspaces_of(email).await.unwrap().remove(0);
                let branch = (kind == Kind::DeleteWithBranch).then_some(BranchChoice {
                    project,
                    force: false,
                });
                Submission {
                    kind: JobKind::Delete,
                    subject: Box::new(move |_| {
                        Subject::Existing(Box::new(workspace), WorkspaceState::Deleting)
                    }),
                    plan: Box::new(move |workspace| {
                        plan::delete(&layout, workspace, branch.as_ref(), Some(account()))
                    }),
                }
            }
            Kind::Restart | Kind::RepairAccess => {
                let (kind, make): (_, fn(&Facts<'_>) -> Plan) = match kind {
                    Kind::Restart => (JobKind::Restart, plan::restart),
                    _ => (JobKind::RepairAccess, plan::repair_access),
                };
                let workspace = self.store.workspaces_of(email).await.unwrap().remove(0);
                Submission {
                    kind,
                    subject: Box::new(move |_| {
                        Subject::Existing(Box::new(workspace), WorkspaceState::Ready)
                    }),
                    plan: Box::new(move |workspace| {
                        let settings = Settings::default();
                        make(&Facts {
                            layout: &layout,
                            settings: &settings,
                            project: &project,
                            workspace,
                            account: Some(account()),
                        })
                    }),
                }
            }
        };
        engine
            .submit(Permit::for_tests(), submission)
            .await
            .unwrap()
            .1
    }

    /// A machine on which this kind of job can begin.
    async fn ready_for(kind: Kind) -> Self {
        let stage = Self::new();
        let first = match kind {
            Kind::Create | Kind::CreateBorrowed => None,
            Kind::DeleteBorrowed => Some(Kind::CreateBorrowed),
            Kind::Delete | Kind::DeleteWithBranch | Kind::Restart | Kind::RepairAccess => {
                Some(Kind::Create)
            }
        };
        if let Some(first) = first {
            let engine = stage.engine(Arc::new(NoHooks));
            let job = stage.submit(&engine, first).await;
            assert_eq!(stage.ended(&engine, job).await, JobState::Done);
        }
        stage
    }

    async fn ended(&self, engine: &Engine, job: Uuid) -> JobState {
        tokio::time::timeout(Duration::from_secs(20), engine.idle())
            .await
            .expect("the job goes on for ever");
        self.store.job(job).await.unwrap().unwrap().state
    }

    async fn steps_of(&self, job: Uuid) -> Vec<Planned> {
        let plan: Plan =
            serde_json::from_value(self.store.job(job).await.unwrap().unwrap().plan).unwrap();
        plan.steps
    }

    /// Everything that can be compared: the made-up machine, the files, the ledger's rows.
    async fn snapshot(&self) -> String {
        let mut text = self.fake.snapshot();
        let mut files = Vec::new();
        list(self.dir.path(), &mut files);
        files.retain(|path| {
            !path.contains("/cid.") && !path.contains("/environments/") && !path.contains("/built/")
        });
        files.sort();
        text.push_str(&files.join("\n"));
        for workspace in self.store.workspaces(None, 0, 100).await.unwrap() {
            text.push_str(&format!(
                "\n{} {:?} {:?}",
                workspace.name, workspace.state, workspace.port
            ));
        }
        text.push_str(&format!(
            "\n{:?} {:?}",
            self.store.ports().await.unwrap(),
            self.store.owed().await.unwrap().len()
        ));
        text
    }
}

fn workspace(
    email: &Email,
    project: &crate::config::Project,
    name: &Name,
    work_dir: &Path,
    job: Uuid,
) -> Workspace {
    Workspace {
        id: 0,
        email: email.clone(),
        project: project.name.clone(),
        name: name.clone(),
        state: WorkspaceState::Creating,
        port: None,
        directory: work_dir.join(name.as_str()),
        branch: project.branch_for(name),
        url: String::new(),
        commit: None,
        created_at: jiff::Timestamp::now(),
        job,
        isolation: Isolation::default(),
    }
}

fn list(dir: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        into.push(entry.path().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), into);
        }
    }
}

/// How a step is made to misbehave.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    FailObserve,
    FailApply,
    FailAfterApply,
    ApplyTwice,
    /// Fails after apply, and everything is taken back twice.
    UndoTwice,
}

const WAYS: [Way; 5] = [
    Way::FailObserve,
    Way::FailApply,
    Way::FailAfterApply,
    Way::ApplyTwice,
    Way::UndoTwice,
];

thread_local! {
    /// KIND of the step that misbehaves, and how. Tests are single-threaded inside.
    static FAULT: RefCell<Option<(String, Way)>> = const { RefCell::new(None) };
    /// KIND of a step that goes on until it is stopped.
    static ENDLESS: Cell<Option<&'static str>> = const { Cell::new(None) };
}

struct Faulty {
    step: Box<dyn AnyStep>,
    way: Option<Way>,
    undo_twice: bool,
    is_endless: bool,
}

fn decode_faulty(planned: &Planned) -> Result<Box<dyn AnyStep>, step::UnknownStep> {
    let step = step::decode(planned)?;
    let fault = FAULT.with_borrow(Clone::clone);
    let way = fault
        .as_ref()
        .filter(|(kind, _)| *kind == planned.kind)
        .map(|(_, way)| *way);
    let undo_twice = fault.is_some_and(|(_, way)| way == Way::UndoTwice);
    Ok(Box::new(Faulty {
        step,
        way,
        undo_twice,
        is_endless: ENDLESS.get() == Some(planned.kind.as_str()),
    }))
}

#[async_trait]
impl AnyStep for Faulty {
    fn is_heavy(&self) -> bool {
        self.step.is_heavy()
    }
    fn has_undo(&self) -> bool {
        self.step.has_undo()
    }
    fn has_finish(&self) -> bool {
        self.step.has_finish()
    }
    fn has_prepare(&self) -> bool {
        self.step.has_prepare()
    }
    fn limit(&self, limits: &Limits) -> Duration {
        self.step.limit(limits)
    }
    async fn prepare(&self, cx: &Cx) -> Result<(), Fault> {
        self.step.prepare(cx).await
    }
    async fn observe(&self, cx: &Cx) -> Result<Value, Fault> {
        if self.way == Some(Way::FailObserve) {
            return Err(Fault::new("cannot observe: the test says so"));
        }
        self.step.observe(cx).await
    }
    async fn apply(&self, before: &Value, cx: &Cx) -> Result<Value, Fault> {
        if self.way == Some(Way::FailApply) {
            return Err(Fault::new("cannot apply: the test says so"));
        }
        let output = self.step.apply(before, cx).await?;
        if self.is_endless {
            cx.cancel.cancelled().await;
            return Err(Fault::cancelled());
        }
        match self.way {
            Some(Way::FailAfterApply | Way::UndoTwice) => {
                Err(Fault::new("cannot go on: the test says so"))
            }
            Some(Way::ApplyTwice) => self.step.apply(before, cx).await,
            _ => Ok(output),
        }
    }
    async fn undo(&self, before: &Value, cx: &Cx) -> Result<(), Fault> {
        if self.undo_twice {
            self.step.undo(before, cx).await?;
        }
        self.step.undo(before, cx).await
    }
    async fn finish(&self, before: &Value, cx: &Cx) -> Result<(), Fault> {
        self.step.finish(before, cx).await?;
        self.step.finish(before, cx).await
    }
}

/// An engine whose step of this KIND misbehaves.
fn faulty(stage: &Stage, kind: &str, way: Way) -> Engine {
    FAULT.set(Some((kind.to_owned(), way)));
    let mut engine = stage.engine(Arc::new(NoHooks));
    Arc::get_mut(&mut engine.0).unwrap().decode = decode_faulty;
    engine
}

async fn kinds_of(kind: Kind) -> Vec<String> {
    let stage = Stage::ready_for(kind).await;
    let engine = stage.engine(Arc::new(NoHooks));
    let job = stage.submit(&engine, kind).await;
    assert_eq!(
        stage.ended(&engine, job).await,
        JobState::Done,
        "{:?}",
        stage.store.job(job).await.unwrap().unwrap().failure
    );
    stage
        .steps_of(job)
        .await
        .into_iter()
        .map(|step| step.kind)
        .collect()
}

#[tokio::test]
async fn whatever_fails_is_taken_back() {
    for kind in KINDS {
        for step in kinds_of(kind).await {
            for way in WAYS {
                let stage = Stage::ready_for(kind).await;
                let before = stage.snapshot().await;
                let engine = faulty(&stage, &step, way);
                let job = stage.submit(&engine, kind).await;
                let state = stage.ended(&engine, job).await;
                if way == Way::ApplyTwice {
                    assert_eq!(state, JobState::Done, "{kind:?} {step} {way:?}");
                } else {
                    assert_eq!(state, JobState::Undone, "{kind:?} {step} {way:?}");
                    pretty(
                        &before,
                        &stage.snapshot().await,
                        &format!("{kind:?} {step} {way:?}"),
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_step_that_fails_stops_those_beside_it_and_takes_the_blame() {
    let stage = Stage::new();
    let before = stage.snapshot().await;
    ENDLESS.set(Some(<step::Release as super::Step>::KIND));
    let engine = faulty(
        &stage,
        <step::Publish as super::Step>::KIND,
        Way::FailAfterApply,
    );
    let job = stage.submit(&engine, Kind::Create).await;
    assert_eq!(stage.ended(&engine, job).await, JobState::Undone);
    let failure = stage.store.job(job).await.unwrap().unwrap().failure;
    let failure = failure.unwrap().message;
    assert!(failure.contains("the test says so"), "{failure}");
    pretty(&before, &stage.snapshot().await, "steps that ran together");
}

fn pretty(before: &str, after: &str, what: &str) {
    if before == after {
        return;
    }
    let (b, a): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), after.lines().collect());
    let gone: Vec<_> = b.difference(&a).collect();
    let new: Vec<_> = a.difference(&b).collect();
    panic!("{what} left traces\ngone: {gone:#?}\nnew: {new:#?}");
}

/// Waits until the engine is where it was to stop.
async fn soon(reached: &Notify) {
    let wait = tokio::time::timeout(Duration::from_secs(20), reached.notified());
    wait.await.expect("the engine never came there");
}

/// Stops the engine for ever at one point, as kill -9 would, and tells that it is there.
struct StopAt {
    point: Point,
    reached: Arc<Notify>,
}

#[async_trait]
impl Hooks for StopAt {
    async fn at(&self, point: Point) {
        if point == self.point {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// Notes every point that is passed.
#[derive(Default)]
struct Trace(Mutex<Vec<Point>>);

#[async_trait]
impl Hooks for Trace {
    async fn at(&self, point: Point) {
        self.0.lock().unwrap().push(point);
    }
}

/// The points that a job passes, forward and (cancelled at its last step) back.
async fn points_of(kind: Kind, failing: Option<&str>) -> Vec<Point> {
    let stage = Stage::ready_for(kind).await;
    let trace = Arc::new(Trace::default());
    FAULT.set(failing.map(|step| (step.to_owned(), Way::FailAfterApply)));
    let mut engine = stage.engine(trace.clone());
    Arc::get_mut(&mut engine.0).unwrap().decode = decode_faulty;
    let job = stage.submit(&engine, kind).await;
    stage.ended(&engine, job).await;
    trace.0.lock().unwrap().clone()
}

#[tokio::test]
async fn a_crash_at_any_journal_boundary_ends_done_or_without_a_trace() {
    for kind in KINDS {
        let last = kinds_of(kind).await.pop().unwrap();
        for failing in [None, Some(last.as_str())] {
            for point in points_of(kind, failing).await {
                let stage = Stage::ready_for(kind).await;
                let before = stage.snapshot().await;
                let reached = Arc::new(Notify::new());
                FAULT.set(failing.map(|step| (step.to_owned(), Way::FailAfterApply)));
                let mut engine = stage.engine(Arc::new(StopAt {
                    point: point.clone(),
                    reached: Arc::clone(&reached),
                }));
                Arc::get_mut(&mut engine.0).unwrap().decode = decode_faulty;
                let job = stage.submit(&engine, kind).await;
                let wait = tokio::time::timeout(Duration::from_secs(10), reached.notified());
                wait.await
                    .unwrap_or_else(|_| panic!("{kind:?} never came to {point:?}"));
                // The one that hangs is as good as dead; the next one knows only the ledger.
                let mut next = stage.engine(Arc::new(NoHooks));
                Arc::get_mut(&mut next.0).unwrap().decode = decode_faulty;
                next.recover().await.unwrap();
                let state = stage.ended(&next, job).await;
                let what = format!("{kind:?} {point:?} failing {failing:?}");
                if failing.is_some() {
                    assert_eq!(state, JobState::Undone, "{what}");
                    pretty(&before, &stage.snapshot().await, &what);
                } else {
                    assert_eq!(state, JobState::Done, "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_delete_that_is_done_leaves_what_was_before_the_create() {
    let stage = Stage::new();
    let before = stage.snapshot().await;
    let engine = stage.engine(Arc::new(NoHooks));
    for create in [Kind::Create, Kind::CreateBorrowed] {
        for kind in [create, Kind::DeleteWithBranch] {
            let job = stage.submit(&engine, kind).await;
            assert_eq!(stage.ended(&engine, job).await, JobState::Done);
        }
        pretty(&before, &stage.snapshot().await, "create and delete");
    }
}

#[tokio::test]
async fn engines_that_are_down_are_owed_and_do_not_stop_a_delete() {
    let stage = Stage::ready_for(Kind::Delete).await;
    for engine in ["nginx", "supervisor"] {
        stage.fake.break_down(engine);
    }
    let engine = stage.engine(Arc::new(NoHooks));
    let job = stage.submit(&engine, Kind::Delete).await;
    assert_eq!(stage.ended(&engine, job).await, JobState::Done);
    assert_eq!(stage.store.owed().await.unwrap().len(), 2);
    // Until nginx has reloaded, the port's next owner would answer under the old name.
    assert_eq!(stage.store.ports().await.unwrap().len(), 1);
    stage
        .store
        .settle(
            stage
                .store
                .owed()
                .await
                .unwrap()
                .iter()
                .map(|owed| owed.id)
                .collect(),
        )
        .await
        .unwrap();
    assert!(stage.store.ports().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_branch_that_cannot_be_taken_back_is_owed() {
    let stage = Stage::new();
    FAULT.set(Some((step::PUSH_BRANCH.to_owned(), Way::FailAfterApply)));
    let reached = Arc::new(Notify::new());
    let point = Point {
        step: step::PUSH_BRANCH.into(),
        phase: Phase::Undoing,
    };
    let mut engine = stage.engine(Arc::new(StopAt {
        point,
        reached: Arc::clone(&reached),
    }));
    Arc::get_mut(&mut engine.0).unwrap().decode = decode_faulty;
    let job = stage.submit(&engine, Kind::Create).await;
    soon(&reached).await;
    stage.fake.break_down("git");
    let next = stage.engine(Arc::new(NoHooks));
    next.recover().await.unwrap();
    assert_eq!(stage.ended(&next, job).await, JobState::Undone);
    let owed = stage.store.owed().await.unwrap();
    assert_eq!(owed.len(), 1);
    assert!(
        owed[0].debt.to_string().contains("anna---example-com"),
        "{}",
        owed[0].debt
    );
}

#[tokio::test]
async fn one_live_job_per_workspace_and_one_workspace_per_address() {
    let stage = Stage::new();
    let reached = Arc::new(Notify::new());
    let point = Point {
        step: step::PUSH_BRANCH.into(),
        phase: Phase::Observed,
    };
    let engine = stage.engine(Arc::new(StopAt {
        point,
        reached: Arc::clone(&reached),
    }));
    let job = stage.submit(&engine, Kind::Create).await;
    soon(&reached).await;
    let row = stage.store.job(job).await.unwrap().unwrap();
    assert_eq!(
        stage
            .store
            .live_job(row.workspace)
            .await
            .unwrap()
            .unwrap()
            .id,
        job
    );
    let workspace = stage.store.workspace(row.workspace).await.unwrap().unwrap();
    let submission = Submission {
        kind: JobKind::Delete,
        subject: Box::new(move |_| {
            Subject::Existing(Box::new(workspace), WorkspaceState::Deleting)
        }),
        plan: Box::new(|_| Plan::new(JobKind::Delete)),
    };
    let refused = engine
        .submit(Permit::for_tests(), submission)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, crate::error::Error::JobInTheWay { job: other, .. } if other == job),
        "{refused}"
    );
}

#[tokio::test]
async fn a_cancelled_job_ends_cancelled_and_leaves_nothing() {
    let stage = Stage::new();
    let before = stage.snapshot().await;
    let reached = Arc::new(Notify::new());
    let engine = stage.engine(Arc::new(CancelAt {
        reached: Arc::clone(&reached),
    }));
    let job = stage.submit(&engine, Kind::Create).await;
    soon(&reached).await;
    engine.cancel(Permit::for_tests(), job).await.unwrap();
    assert_eq!(stage.ended(&engine, job).await, JobState::Cancelled);
    pretty(&before, &stage.snapshot().await, "a cancelled create");
}

/// Waits a moment before the push, so that somebody can cancel.
struct CancelAt {
    reached: Arc<Notify>,
}

#[async_trait]
impl Hooks for CancelAt {
    async fn at(&self, point: Point) {
        if point.step == step::PUSH_BRANCH && point.phase == Phase::Observed {
            self.reached.notify_one();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_step_that_cannot_be_taken_back_is_stuck_until_retried() {
    let stage = Stage::new();
    let before = stage.snapshot().await;
    let engine = faulty(&stage, step::PUSH_BRANCH, Way::FailApply);
    // Something is in the way of the trash.
    std::fs::remove_dir(stage.layout.log_trash_dir()).unwrap();
    std::fs::write(stage.layout.log_trash_dir(), "in the way").unwrap();
    let job = stage.submit(&engine, Kind::Create).await;
    assert_eq!(stage.ended(&engine, job).await, JobState::Stuck);
    let workspace = stage.store.workspaces(None, 0, 1).await.unwrap().remove(0);
    assert_eq!(workspace.state, WorkspaceState::Failed);
    std::fs::remove_file(stage.layout.log_trash_dir()).unwrap();
    fs::make_dir(&stage.layout.log_trash_dir(), 0o755).unwrap();
    engine.retry(Permit::for_tests(), job).await.unwrap();
    assert_eq!(stage.ended(&engine, job).await, JobState::Undone);
    pretty(&before, &stage.snapshot().await, "a retried job");
}

#[tokio::test]
async fn a_step_of_an_unknown_kind_makes_the_job_stuck() {
    let stage = Stage::ready_for(Kind::Delete).await;
    let workspace = stage.store.workspaces(None, 0, 1).await.unwrap().remove(0);
    let engine = stage.engine(Arc::new(NoHooks));
    let unknown = Planned {
        kind: "levitate.v9".into(),
        label: "levitate".into(),
        parameters: Value::Null,
        beside: false,
    };
    let submission = Submission {
        kind: JobKind::Delete,
        subject: Box::new(move |_| {
            Subject::Existing(Box::new(workspace), WorkspaceState::Deleting)
        }),
        plan: Box::new(move |_| Plan {
            kind: JobKind::Delete,
            steps: vec![unknown],
        }),
    };
    let (_, job) = engine
        .submit(Permit::for_tests(), submission)
        .await
        .unwrap();
    assert_eq!(stage.ended(&engine, job).await, JobState::Stuck);
    let notes = stage.store.events(job, 0, 100).await.unwrap();
    assert!(
        notes
            .iter()
            .any(|e| matches!(&e.what, What::Note { text, .. } if text.contains("levitate.v9")))
    );
}

#[tokio::test]
async fn every_registered_step_is_in_a_plan_that_is_tested() {
    let mut tested = BTreeSet::new();
    for kind in KINDS {
        tested.extend(kinds_of(kind).await);
    }
    let registered: BTreeSet<_> = step::REGISTRY
        .iter()
        .map(|entry| entry.kind.to_owned())
        .collect();
    assert_eq!(registered, tested);
}
