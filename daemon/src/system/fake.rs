//! A machine that is made up, for testing the engine: nginx, supervisord, git server and helpers
//! are maps in memory; files are real ones in a folder of the test's. The contract tests hold the
//! fakes of nginx and supervisor to the same assertions as the real ones.

mod accounts;
mod helpers;
mod nginx;
mod probe;
mod supervisor;
mod told;

pub use supervisor::running;
pub use told::Answer;

use super::{
    HostParts, Site, System,
    nginx::Nginx,
    probe::{Page, PageAnswer},
    queue::Queues,
    supervisor::Process,
    tls::Certificates,
};
use crate::{domain::UnitName, layout::Layout};
use cid_kernel::fs;
use cid_protocol::{
    fault::Fault,
    request::{Request, WorkReport},
};
use nginx::FakeNginx;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use supervisor::FakeSupervisor;
use told::Told;

/// The commit every made-up base branch has.
pub const COMMIT: &str = "0123456789012345678901234567890123456789";

/// The made-up machine. Clones share it.
#[derive(Clone)]
pub struct Fake {
    layout: Arc<Layout>,
    state: Arc<Mutex<State>>,
    told: Told,
}

/// All that is not a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// Vhosts that nginx has loaded.
    vhosts: BTreeMap<UnitName, String>,
    /// Program groups that run.
    groups: BTreeMap<UnitName, String>,
    /// Processes of groups that are not just one that runs.
    processes: BTreeMap<UnitName, Vec<Process>>,
    /// Accounts that there are.
    accounts: BTreeSet<String>,
    /// Branches on the git server.
    branches: BTreeMap<String, String>,
    /// How many commits a workspace's branch has that base does not have.
    ahead: usize,
    /// What does not answer: `nginx`, `supervisor`, `git`.
    down: Vec<&'static str>,
    /// What is interrupted, as by a shutdown: `git`.
    interrupted: Vec<&'static str>,
    /// What looks for work find.
    work: WorkReport,
    /// What looks for work find in the clone of a creation that is taken back.
    meanwhile: WorkReport,
}

impl Fake {
    /// A machine with nothing on it but a git server with the branch `main`.
    pub fn new(layout: Arc<Layout>) -> Self {
        let fake = Self {
            layout,
            state: Arc::default(),
            told: Told::default(),
        };
        fake.state().branches.insert("main".into(), COMMIT.into());
        fake
    }

    /// The machine as steps see it.
    pub fn system(&self) -> System {
        let site = Site {
            listen: Vec::new(),
            http_port: 8080,
            listen_https: Vec::new(),
            https_port: 8443,
            front: PathBuf::from("/nowhere/front.sock"),
            helper: PathBuf::from("/nowhere/cid-helper"),
            app_helper: PathBuf::from("/nowhere/cid-helper"),
        };
        let nginx: Arc<dyn Nginx> = Arc::new(FakeNginx(self.clone()));
        System {
            layout: Arc::clone(&self.layout),
            site: Arc::new(site),
            certificates: Arc::new(Certificates::new(
                Arc::clone(&self.layout),
                Arc::clone(&nginx),
            )),
            nginx,
            supervisor: Arc::new(FakeSupervisor(self.clone())),
            host: None,
            helpers: Arc::new(self.clone()),
            queues: Arc::new(Queues::new(2, 4)),
            probe: Arc::new(self.clone()),
            sessions: Arc::default(),
            templates: Arc::default(),
        }
    }

    /// The same as a host, which has accounts.
    pub fn host(&self) -> System {
        System {
            host: Some(HostParts {
                accounts: Arc::new(self.clone()),
                units: Arc::new(|_| Err(Fault::new("there is no systemd here"))),
            }),
            ..self.system()
        }
    }

    /// Makes `nginx`, `supervisor` or `git` stop answering.
    pub fn break_down(&self, what: &'static str) {
        self.state().down.push(what);
    }

    /// Makes `git` end what it is asked for as if it were cancelled.
    pub fn interrupt(&self, what: &'static str) {
        self.state().interrupted.push(what);
    }

    /// Makes everything answer again.
    pub fn mend(&self) {
        let mut state = self.state();
        state.down.clear();
        state.interrupted.clear();
    }

    /// Has supervisord tell this of a workspace's processes, as long as it has its group.
    pub fn tell_processes(&self, unit: &UnitName, processes: Vec<Process>) {
        self.state().processes.insert(unit.clone(), processes);
    }

    /// The commit of a branch on the git server.
    pub fn branch(&self, name: &str) -> Option<String> {
        self.state().branches.get(name).cloned()
    }

    /// Puts a branch on the git server, as somebody else would; it has so many commits more than base.
    pub fn push(&self, name: &str, commit: &str, ahead: usize) {
        let mut state = self.state();
        state.branches.insert(name.into(), commit.into());
        state.ahead = ahead;
    }

    /// Removes a branch from the git server, as somebody else would.
    pub fn remove_branch(&self, name: &str) {
        self.state().branches.remove(name);
    }

    /// Has looks for work find this.
    pub fn leave_work(&self, work: WorkReport) {
        self.state().work = work;
    }

    /// Has looks for work that was made during a creation find this.
    pub fn work_meanwhile(&self, work: WorkReport) {
        self.state().meanwhile = work;
    }

    /// What its helpers were asked, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.told.requests()
    }

    /// Has its helpers answer like this from now on, where it gives an answer.
    pub fn answer(&self, script: impl Fn(&Request) -> Answer + Send + 'static) {
        self.told.answer(script);
    }

    /// Has its sites show these pages from now on, by the cookies that come with a request.
    pub fn show(&self, pages: impl Fn(Page<'_>, &str) -> Option<PageAnswer> + Send + 'static) {
        self.told.show(pages);
    }

    /// All that can be compared, without the files.
    pub fn snapshot(&self) -> String {
        format!("{:#?}", *self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self, what: &'static str) -> Result<(), Fault> {
        if self.state().interrupted.contains(&what) {
            return Err(Fault::cancelled());
        }
        if self.state().down.contains(&what) {
            return Err(Fault::new(format!(
                "cannot reach {what}: it does not answer"
            )));
        }
        Ok(())
    }
}

/// Files in a folder, `UNIT.conf` each.
fn read(dir: &Path, unit: &UnitName) -> Result<Option<String>, Fault> {
    fs::read_optional(&dir.join(format!("{unit}.conf")))
}

fn write(dir: &Path, unit: &UnitName, text: &str) -> Result<(), Fault> {
    fs::make_dir(dir, 0o755)?;
    fs::write_atomic(&dir.join(format!("{unit}.conf")), text.as_bytes(), 0o644)
}

fn list(dir: &Path) -> Result<Vec<UnitName>, Fault> {
    let names = fs::names(dir)?;
    Ok(names
        .iter()
        .filter_map(|name| name.strip_suffix(".conf"))
        .filter_map(UnitName::parse)
        .collect())
}
