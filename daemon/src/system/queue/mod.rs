//! Queues for limited resources: who is next, and what those who wait are told.

mod line;
#[cfg(test)]
mod tests;
mod waiting;

pub use waiting::{Ahead, Waiting};

use crate::domain::{Owner, ProjectName};
use cid_protocol::fault::Fault;
use line::Line;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Extra cores beyond those of [`Queues::new`], for projects that have none: a hanging project must not stop
/// the others.
const EXTRA_CORES: usize = 4;

/// A limited resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// A core, for what computes for long: installing, release commands.
    Core,
    /// A project's mirror, for fetching into it.
    Mirror(ProjectName),
    /// A project's builder, for installing what workspaces share, or for commands of a build.
    Builds(ProjectName),
    /// A project's turn to have one of its commits built.
    Build(ProjectName),
    /// A project's shared database, for release commands.
    Database(ProjectName),
    /// The folder of cid's own tools, for bringing one in.
    Tools,
    /// A connection to a git server, `HOST` or `HOST:PORT`.
    GitServer(String),
}

/// Who uses or waits for a resource, and for what.
#[derive(Debug, Default)]
pub struct Who {
    /// The job; `None`: a question that belongs to no job.
    pub job: Option<Uuid>,
    /// Turns go round these.
    pub project: Option<ProjectName>,
    /// Within a project, turns go round these.
    pub owner: Option<Owner>,
    /// What is done, in one word, e.g. `install`.
    pub work: String,
    waited: Mutex<Waited>,
}

#[derive(Debug, Default)]
struct Waited {
    before: Duration,
    /// Set while it waits.
    since: Option<Instant>,
}

impl Who {
    /// A step of a job.
    pub fn step(job: Uuid, project: ProjectName, owner: Option<Owner>, work: &str) -> Self {
        Self {
            job: Some(job),
            project: Some(project),
            owner,
            work: work.to_owned(),
            ..Self::default()
        }
    }

    /// Work that cid does without a job.
    pub fn cid(project: Option<ProjectName>, work: &str) -> Self {
        Self {
            project,
            work: work.to_owned(),
            ..Self::default()
        }
    }

    /// How long it has waited so far. Waiting does not count as working time.
    pub fn waited(&self) -> Duration {
        let waited = self.lock();
        waited.before + waited.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn begin_waiting(&self) -> Clock<'_> {
        self.lock().since = Some(Instant::now());
        Clock(self)
    }

    fn lock(&self) -> MutexGuard<'_, Waited> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts as waiting while it lives.
struct Clock<'a>(&'a Who);

impl Drop for Clock<'_> {
    fn drop(&mut self) {
        let mut waited = self.0.lock();
        if let Some(since) = waited.since.take() {
            waited.before += since.elapsed();
        }
    }
}

/// All queues.
pub struct Queues {
    cores: usize,
    connections: usize,
    lines: Mutex<Lines>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Lines {
    of: HashMap<Resource, Line>,
    last_number: u64,
}

impl Queues {
    /// `cores` heavy steps at a time, and as many connections to one git server; both at least 1.
    pub fn new(cores: usize, connections: usize) -> Self {
        Self {
            cores: cores.max(1),
            connections: connections.max(1),
            lines: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Waits for a turn, which ends when the [`Turn`] is dropped.
    ///
    /// # Errors
    /// `cancel` was fired first.
    pub async fn take(
        self: &Arc<Self>,
        resource: Resource,
        who: &Arc<Who>,
        cancel: &CancellationToken,
    ) -> Result<Turn, Fault> {
        self.enter(resource, who).come(cancel).await
    }

    /// Takes a turn if nobody uses the resource or waits for it.
    pub fn try_take(self: &Arc<Self>, resource: Resource, who: &Arc<Who>) -> Option<Turn> {
        if self.lines().of.contains_key(&resource) {
            return None;
        }
        self.enter(resource, who).ready()
    }

    /// Takes the last place in a queue.
    pub fn enter(self: &Arc<Self>, resource: Resource, who: &Arc<Who>) -> Entry {
        let (go, coming) = oneshot::channel();
        let (places, extra) = self.size(&resource);
        let mut lines = self.lines();
        lines.last_number += 1;
        let number = lines.last_number;
        let line = lines.of.entry(resource.clone());
        line.or_insert_with(|| Line::new(places, extra))
            .enter(number, Arc::clone(who), go);
        drop(lines);
        self.changed.send_replace(());
        Entry {
            turn: Turn {
                queues: Arc::clone(self),
                resource,
                number,
            },
            who: Arc::clone(who),
            coming,
        }
    }

    /// Whether somebody waits for it.
    pub fn is_wanted(&self, resource: &Resource) -> bool {
        let lines = self.lines();
        lines.of.get(resource).is_some_and(Line::has_waiting)
    }

    /// What a job waits for now.
    pub fn waiting(&self, job: Uuid) -> Option<Waiting> {
        let mut lines = self.lines();
        let mut all = lines.of.iter_mut();
        all.find_map(|(resource, line)| line.waiting(resource, Some(job)).pop())
            .map(|(_, waiting)| waiting)
    }

    /// What each waiting job waits for.
    pub fn all_waiting(&self) -> BTreeMap<Uuid, Waiting> {
        let mut all = BTreeMap::new();
        for (resource, line) in &mut self.lines().of {
            all.extend(line.waiting(resource, None));
        }
        all
    }

    /// Tells each time a queue has changed.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn size(&self, resource: &Resource) -> (usize, usize) {
        match resource {
            Resource::Core => (self.cores, EXTRA_CORES),
            Resource::GitServer(_) => (self.connections, 0),
            _ => (1, 0),
        }
    }

    fn leave(&self, resource: &Resource, number: u64) {
        let mut lines = self.lines();
        if let Some(line) = lines.of.get_mut(resource) {
            line.leave(number);
            if line.is_empty() {
                lines.of.remove(resource);
            }
        }
        drop(lines);
        self.changed.send_replace(());
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queues").finish_non_exhaustive()
    }
}

/// A place in a queue; given up on drop.
pub struct Entry {
    turn: Turn,
    who: Arc<Who>,
    coming: oneshot::Receiver<()>,
}

impl Entry {
    /// Waits for the turn.
    ///
    /// # Errors
    /// `cancel` was fired first.
    pub async fn come(self, cancel: &CancellationToken) -> Result<Turn, Fault> {
        let Self { turn, who, coming } = self;
        let _clock = who.begin_waiting();
        tokio::select! {
            biased;
            came = coming => came.map(|()| turn).map_err(|_| Fault::cancelled()),
            () = cancel.cancelled() => Err(Fault::cancelled()),
        }
    }

    /// The turn, if it has come.
    pub fn ready(mut self) -> Option<Turn> {
        self.coming.try_recv().is_ok().then_some(self.turn)
    }
}

/// A turn; ends on drop.
#[must_use]
pub struct Turn {
    queues: Arc<Queues>,
    resource: Resource,
    number: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queues.leave(&self.resource, self.number);
    }
}
