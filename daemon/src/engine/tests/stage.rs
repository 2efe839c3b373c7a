//! The made-up machine, and the jobs that run on it.

use super::{
    super::{Engine, Hooks, NoHooks, Plan, Submission},
    kinds::Kind,
    misbehave, promises,
    templates::TEMPLATED,
    watched,
};
use crate::{
    authz::Permit,
    config::{Project, Projects, Settings},
    domain::{
        Account, Build, Creator, Email, JobKind, JobState, Name, Owner, UnitName, Workspace,
        WorkspaceState, event::Failure,
    },
    layout::Layout,
    plan::{self, BranchChoice, Facts, Looked, Staying},
    store::{Artifact, Quota, Store, Subject},
    system::{
        fake::{COMMIT, Fake},
        nginx::project_site::project_site,
    },
};
use cid_kernel::fs;
use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use uuid::Uuid;

/// A made-up machine with one project on it.
pub(super) struct Stage {
    dir: TempDir,
    pub(super) layout: Arc<Layout>,
    pub(super) fake: Fake,
    pub(super) store: Store,
    projects: Arc<Projects>,
    /// As in a sandbox, without accounts and the mount that sockets of a host are reached by.
    on_socket: bool,
}

/// As on a host, whose plans have all the steps. Its number is this process's own, which may give
/// files to nobody else.
fn account() -> Account {
    Account {
        name: "cidw-made-up".into(),
        uid: nix::unistd::geteuid().as_raw(),
    }
}

/// Its number.
pub(super) fn account_of_tests() -> u32 {
    account().uid
}

/// What somebody else pushes to a workspace's branch before it is deployed.
pub(super) const PUSHED: &str = "9876543210987654321098765432109876543210";

/// The project file's lines that every project of the tests has.
const PROJECT: &str = "domain = \"demo.localhost\"\n[git]\nurl = \"/srv/demo.git\"\n";

impl Stage {
    pub(super) fn new() -> Self {
        Self::with(
            "[app]\nbuild = [[\"make\"]]\ntest = [[\"check\"]]\n\
             [stages.live]\nbackup = [[\"dump\", \"{backup}\"]]\n",
        )
    }

    /// With these lines more in the project's file.
    pub(super) fn with(more: &str) -> Self {
        misbehave(&[]);
        // A disk is waited for at each line of a journal, for most of what these tests took.
        let dir = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let layout = Arc::new(Layout::sandbox(dir.path()));
        for dir in [
            layout.projects_dir(),
            layout.run_file_dir(),
            layout.vhost_dir(),
            layout.program_dir(),
            layout.trash_dir(),
            layout.log_trash_dir(),
            layout.app_logs_dir(),
            layout.away_dir(),
            layout.work_root.join("demo/.trash"),
            layout.work_root.join("demo/.kept"),
            layout.state_dir.join("built/demo"),
            layout.state_dir.join("packages/demo"),
            layout.state_dir.join("builds/demo"),
            layout.state_dir.join("templates/demo"),
        ] {
            fs::make_dir(&dir, 0o755).unwrap();
        }
        let project = format!("{PROJECT}{more}");
        std::fs::write(layout.projects_dir().join("demo.toml"), project).unwrap();
        let projects = Arc::new(Projects::load(&layout).unwrap());
        let store = Store::open(&layout.database()).unwrap();
        let fake = Fake::new(Arc::clone(&layout));
        // What the daemon does when it reads the projects.
        let project = projects.only().unwrap();
        let site = project_site(&fake.system(), &project).unwrap();
        let unit = UnitName::catch_all(&project.name);
        std::fs::write(layout.vhost_dir().join(format!("{unit}.conf")), site).unwrap();
        fake.load_vhosts().unwrap();
        Self {
            on_socket: more.contains("{socket}"),
            dir,
            layout,
            fake,
            store,
            projects,
        }
    }

    pub(super) fn engine(&self, hooks: Arc<dyn Hooks>) -> Engine {
        let system = match self.on_socket {
            true => self.fake.system(),
            false => self.fake.host(),
        };
        Engine::new(
            system,
            self.store.clone(),
            Arc::clone(&self.projects),
            Arc::new(Settings::default()),
            hooks,
            watched::decode,
        )
    }

    pub(super) async fn submit(&self, engine: &Engine, kind: Kind) -> Uuid {
        self.submit_of(engine, kind, "anna@example.com").await
    }

    /// About this address's workspace.
    pub(super) async fn submit_of(&self, engine: &Engine, kind: Kind, email: &str) -> Uuid {
        let email = Email::parse(email).unwrap();
        let project = self.projects.only().unwrap();
        let layout = Arc::clone(&self.layout);
        let account = (!self.on_socket).then(account);
        let kind = kind.of_any().of_running();
        let submission = match kind {
            Kind::CreateOnSocket
            | Kind::DeleteOnSocket
            | Kind::DeployOnSocket
            | Kind::StopOnSocket
            | Kind::StartOnSocket
            | Kind::StayStopped(_)
            | Kind::DeleteStopped => unreachable!(),
            Kind::Build | Kind::Template => return self.submit_build(engine, kind, true).await.0,
            Kind::FirstPromote | Kind::Promote => return self.submit_promote(engine, true).await,
            Kind::Create => {
                let work_dir = self.layout.work_root.join("demo");
                let planned = Arc::clone(&project);
                Submission {
                    build: None,
                    kind: JobKind::Create,
                    subject: Subject::New {
                        quota: Quota {
                            in_all: 500,
                            per_project: 100,
                            per_creator: 50,
                        },
                        candidates: Name::candidates(&email)
                            .map(|name| {
                                workspace(&email.clone().into(), &project, &name, &work_dir)
                            })
                            .collect(),
                    },
                    plan: Box::new(move |workspace| {
                        let settings = Settings::default();
                        plan::create(&Facts {
                            layout: &layout,
                            settings: &settings,
                            project: &planned,
                            workspace,
                            account: account.clone(),
                        })
                    }),
                }
            }
            Kind::Delete | Kind::DeleteWithBranch | Kind::DeleteByForce => {
                let workspace = self
                    .store
                    .workspaces_of(email.into())
                    .await
                    .unwrap()
                    .remove(0);
                let branch = (kind != Kind::Delete).then_some(BranchChoice {
                    project,
                    force: kind == Kind::DeleteByForce,
                });
                Submission {
                    build: None,
                    kind: JobKind::Delete,
                    subject: Subject::Existing(Box::new(workspace), WorkspaceState::Deleting),
                    plan: Box::new(move |workspace| {
                        let looked = Looked {
                            project: None,
                            judged: String::new(),
                        };
                        let (branch, looked) = (branch.as_ref(), Some(&looked));
                        plan::delete(&layout, workspace, branch, looked, account.clone())
                    }),
                }
            }
            Kind::Stay(kind) => {
                let mut rows = Staying::ALL.iter();
                let make = rows.find(|row| row.kind == kind).unwrap().plan;
                let workspace = self
                    .store
                    .workspaces_of(email.into())
                    .await
                    .unwrap()
                    .remove(0);
                let state = workspace.state;
                Submission {
                    build: None,
                    kind,
                    subject: Subject::Existing(Box::new(workspace), state),
                    plan: Box::new(move |workspace| {
                        let settings = Settings::default();
                        make(&Facts {
                            layout: &layout,
                            settings: &settings,
                            project: &project,
                            workspace,
                            account: account.clone(),
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

    /// Has the newest build run in the stage `live`.
    pub(super) async fn submit_promote(&self, engine: &Engine, releases: bool) -> Uuid {
        let (project, layout) = (self.projects.only().unwrap(), Arc::clone(&self.layout));
        let builds = self.store.builds(None, None, 1).await.unwrap();
        let build = builds.into_iter().next().unwrap();
        let name = Name::of_stage("live").unwrap();
        let row = self.store.stage(project.name.clone(), name.clone());
        let work_dir = self.layout.work_root.join("demo");
        let subject = match row.await.unwrap() {
            Some(row) => {
                let state = row.state;
                Subject::Existing(Box::new(row), state)
            }
            None => Subject::New {
                quota: Quota {
                    in_all: 500,
                    per_project: 100,
                    per_creator: 50,
                },
                candidates: vec![workspace(
                    &Owner::Stage(name.clone()),
                    &project,
                    &name,
                    &work_dir,
                )],
            },
        };
        let submission = Submission {
            build: Some(build.id),
            kind: JobKind::Deploy,
            subject,
            plan: Box::new(move |workspace| {
                let settings = Settings::default();
                let facts = Facts {
                    layout: &layout,
                    settings: &settings,
                    project: &project,
                    workspace,
                    account: Some(account()),
                };
                plan::deploy_build(&facts, &build, "the test", releases)
            }),
        };
        engine
            .submit(Permit::for_tests(), submission)
            .await
            .unwrap()
            .1
    }

    /// A build, or a template, and whether there was none.
    pub(super) async fn submit_build(
        &self,
        engine: &Engine,
        kind: Kind,
        again: bool,
    ) -> (Uuid, bool) {
        let (project, layout) = (self.projects.only().unwrap(), Arc::clone(&self.layout));
        let directory = match kind {
            Kind::Template => layout.templates(&project.name),
            _ => layout.builds(&project.name),
        };
        let mut draft = Build::drafted(directory);
        draft.source.commit = COMMIT.into();
        draft.recipe = match kind {
            Kind::Template => project.digest.clone(),
            _ => plan::recipe_of(&project),
        };
        let permit = Permit::for_tests();
        let (job_kind, make): (_, fn(&Layout, &Project, &Build) -> Plan) = match kind {
            Kind::Template => (JobKind::Template, plan::template),
            _ => (JobKind::Build, plan::build),
        };
        let plan = move |build: &Build| make(&layout, &project, build);
        let creator = Creator::User(0);
        let submitted = engine.submit_build(permit, job_kind, draft, again, creator, plan);
        let (made, is_new) = submitted.await.unwrap();
        (made.job, is_new)
    }

    /// A machine on which this kind of job can begin.
    pub(super) async fn ready_for(kind: Kind) -> Self {
        let stage = match kind.of_any() == kind {
            true if matches!(kind, Kind::Create | Kind::Template) => Self::with(TEMPLATED),
            true => Self::new(),
            false => Self::with("[app]\nrun.web = [\"serve\", \"{socket}\"]\n"),
        };
        let any = kind.of_any();
        let first: &[Kind] = match any {
            // What it begins with.
            Kind::Create if kind == any => &[Kind::Template],
            Kind::FirstPromote => &[Kind::Build],
            Kind::Promote => &[Kind::Build, Kind::FirstPromote],
            Kind::Stay(JobKind::Start) => &[Kind::Create, Kind::Stay(JobKind::Sleep)],
            Kind::StayStopped(_) | Kind::DeleteStopped => {
                &[Kind::Create, Kind::Stay(JobKind::Stop)]
            }
            Kind::Delete | Kind::DeleteWithBranch | Kind::DeleteByForce | Kind::Stay(_) => {
                &[Kind::Create]
            }
            _ => &[],
        };
        for first in first {
            let (job, state) = stage.run(*first).await;
            let row = stage.store.job(job).await.unwrap().unwrap();
            assert_eq!(state, JobState::Done, "{:?}", row.failure);
        }
        if any.of_running() == Kind::DEPLOY {
            stage.fake.push("anna---example-com", PUSHED, 1);
        }
        stage
    }

    /// A job that nobody looks on at, and what it ended as.
    pub(super) async fn run(&self, kind: Kind) -> (Uuid, JobState) {
        let engine = self.engine(Arc::new(NoHooks));
        let job = self.submit(&engine, kind).await;
        (job, self.ended(&engine, job).await)
    }

    /// What a job ended as, which must be as the engine promises.
    pub(super) async fn ended(&self, engine: &Engine, job: Uuid) -> JobState {
        tokio::time::timeout(Duration::from_secs(60), engine.idle())
            .await
            .expect("the job goes on for ever");
        promises::assert_kept(&self.store, job).await;
        self.store.job(job).await.unwrap().unwrap().state
    }

    /// Why a job is not Done.
    pub(super) async fn failure(&self, job: Uuid) -> Failure {
        let row = self.store.job(job).await.unwrap().unwrap();
        row.failure.unwrap()
    }

    /// KINDs of a job's steps.
    pub(super) async fn kinds_of(&self, job: Uuid) -> Vec<String> {
        let row = self.store.job(job).await.unwrap().unwrap();
        let plan: Plan = serde_json::from_value(row.plan).unwrap();
        plan.steps.into_iter().map(|step| step.kind).collect()
    }

    /// Everything that can be compared: the made-up machine, the files, the ledger's rows.
    pub(super) async fn snapshot(&self) -> String {
        let mut text = self.fake.snapshot();
        let mut files = Vec::new();
        list(self.dir.path(), &mut files);
        files.retain(|path| {
            // What is kept aside for a full disk comes with the first delete.
            let is_room = path.contains("/run/reserve");
            !is_room
                && !path.contains("/cid.")
                && !path.contains("/packages/")
                && !path.contains("/built/")
        });
        files.sort();
        text.push_str(&files.join("\n"));
        for workspace in self.store.workspaces(None, 0, 100).await.unwrap() {
            text.push_str(&format!(
                "\n{} {:?} {:?} {} {:?} {:?}",
                workspace.name,
                workspace.state,
                workspace.port,
                workspace.deployment,
                workspace.commit,
                workspace.url
            ));
        }
        for workspace in self.store.workspaces(None, 0, 100).await.unwrap() {
            for old in self.store.deployments(workspace.id, 9).await.unwrap() {
                text.push_str(&format!(
                    "\n{} {} {:?}",
                    old.build, old.released, old.backup
                ));
            }
            for artifact in [Artifact::Vhost, Artifact::Program] {
                let wanted = self.store.artifact(workspace.id, artifact).await.unwrap();
                text.push_str(&format!("\n{wanted:?}"));
            }
        }
        text.push_str(&format!(
            "\n{:?} {:?}",
            self.store.ports().await.unwrap(),
            self.store.owed().await.unwrap().len()
        ));
        text
    }
}

fn workspace(owner: &Owner, project: &Project, name: &Name, work_dir: &Path) -> Workspace {
    Workspace {
        id: 0,
        owner: owner.clone(),
        project: project.name.clone(),
        name: name.clone(),
        state: WorkspaceState::Creating,
        port: None,
        directory: work_dir.join(name.as_str()),
        branch: project.branch_for(name),
        url: String::new(),
        commit: None,
        deployment: 0,
        created_at: jiff::Timestamp::now(),
        creator: Creator::User(0),
        job: Uuid::nil(),
        branch_gone_at: None,
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

/// KINDs of the steps of this kind of job.
pub(super) async fn kinds_of(kind: Kind) -> Vec<String> {
    let stage = Stage::ready_for(kind).await;
    let (job, state) = stage.run(kind).await;
    let row = stage.store.job(job).await.unwrap().unwrap();
    assert_eq!(state, JobState::Done, "{:?}", row.failure);
    stage.kinds_of(job).await
}

/// # Panics
/// The machine is not as it was.
pub(super) fn assert_no_trace(before: &str, after: &str, what: &str) {
    if before == after {
        return;
    }
    let (b, a): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), after.lines().collect());
    let gone: Vec<_> = b.difference(&a).collect();
    let new: Vec<_> = a.difference(&b).collect();
    panic!("{what} left traces\ngone: {gone:#?}\nnew: {new:#?}");
}
