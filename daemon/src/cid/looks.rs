//! Looks at projects' remotes: who wants one, and what the last one came to.

use crate::domain::ProjectName;
use cid_protocol::fault::Fault;
use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{self, AcquireError, Notify, Semaphore, SemaphorePermit},
    time::Instant,
};
use uuid::Uuid;

/// What followed from where a branch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// The branch.
    pub branch: String,
    /// Its commit; `None`: the remote has no such branch any more.
    pub commit: Option<String>,
    /// What was done, in a sentence.
    pub message: String,
    /// The job that began.
    pub job: Option<Uuid>,
    /// It could not be done now, and is tried again.
    pub later: bool,
}

/// What a look came to.
pub type Looked = Result<Vec<FollowUp>, Fault>;

/// When the last look at a remote began, and what it came to.
pub(crate) type Last = Option<(Instant, Looked)>;

/// How many remotes are asked side by side.
const ASKED_AT_ONCE: usize = 4;

/// Shared by all who look.
pub struct Looks {
    asking: Semaphore,
    hinted: Mutex<BTreeSet<ProjectName>>,
    told: Notify,
    last: Mutex<HashMap<ProjectName, Arc<sync::Mutex<Last>>>>,
    /// When each workspace whose branch is gone was last to be deleted.
    tried: Mutex<HashMap<i64, Instant>>,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            asking: Semaphore::new(ASKED_AT_ONCE),
            hinted: Mutex::default(),
            told: Notify::default(),
            last: Mutex::default(),
            tried: Mutex::default(),
        }
    }
}

impl Looks {
    /// Waits for a place among those who ask a remote; held until it has answered.
    pub(crate) async fn ask(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.asking.acquire().await
    }

    /// Says that a remote may have something new. It is looked at soon.
    pub fn hint(&self, project: &ProjectName) {
        lock(&self.hinted).insert(project.clone());
        self.told.notify_one();
    }

    /// Waits until there is a hint.
    pub(crate) async fn hinted(&self) {
        self.told.notified().await;
    }

    /// Takes all hints.
    pub(crate) fn take_hints(&self) -> BTreeSet<ProjectName> {
        mem::take(&mut lock(&self.hinted))
    }

    /// Held by the one who looks.
    pub(crate) fn turn(&self, project: &ProjectName) -> Arc<sync::Mutex<Last>> {
        Arc::clone(lock(&self.last).entry(project.clone()).or_default())
    }

    /// Whether this workspace has not been tried for `pause`; it counts as tried from now on.
    pub(crate) fn may_try(&self, workspace: i64, pause: Duration) -> bool {
        let mut tried = lock(&self.tried);
        tried.retain(|_, at| at.elapsed() < pause);
        let may = !tried.contains_key(&workspace);
        if may {
            tried.insert(workspace, Instant::now());
        }
        may
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
