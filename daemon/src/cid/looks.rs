//! Looks at projects' remotes: who wants one, and what the last one came to.

use crate::domain::{Name, ProjectName};
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
    /// Builds whose commit is not on its branch, by where that is, and when that was found out.
    astray: Mutex<HashMap<(ProjectName, u32, String), Instant>>,
    /// Since when what a deployment brought to a stage is well.
    well: Mutex<HashMap<(ProjectName, Name), (Uuid, Instant)>>,
    /// What was wrong with it when it was seen not to be, until it is well.
    ill: Mutex<HashMap<(ProjectName, Name), Ill>>,
}

/// What a deployment brought to a stage, and is not well.
#[derive(Clone, Debug)]
struct Ill {
    job: Uuid,
    since: Instant,
    why: String,
}

/// How long a build is known to be astray before git is asked again.
const ASTRAY: Duration = Duration::from_secs(60);

impl Default for Looks {
    fn default() -> Self {
        Self {
            asking: Semaphore::new(ASKED_AT_ONCE),
            hinted: Mutex::default(),
            told: Notify::default(),
            last: Mutex::default(),
            tried: Mutex::default(),
            astray: Mutex::default(),
            well: Mutex::default(),
            ill: Mutex::default(),
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

    /// Whether a build was found astray a moment ago, of a branch that is at this commit.
    pub(crate) fn is_astray(&self, project: &ProjectName, build: u32, head: &str) -> bool {
        let mut astray = lock(&self.astray);
        astray.retain(|_, at| at.elapsed() < ASTRAY);
        astray.contains_key(&(project.clone(), build, head.to_owned()))
    }

    /// Remembers that it is.
    pub(crate) fn set_astray(&self, project: &ProjectName, build: u32, head: &str) {
        let key = (project.clone(), build, head.to_owned());
        lock(&self.astray).insert(key, Instant::now());
    }

    /// For how long what this job deployed to a stage has been well, by all looks since the daemon began.
    pub(crate) fn well_for(
        &self,
        project: &ProjectName,
        stage: &Name,
        job: Uuid,
        is_well: bool,
        now: Instant,
    ) -> Duration {
        let key = (project.clone(), stage.clone());
        let mut well = lock(&self.well);
        if !is_well {
            well.remove(&key);
            return Duration::ZERO;
        }
        let since = well.entry(key).or_insert((job, now));
        if since.0 != job {
            *since = (job, now);
        }
        now.duration_since(since.1)
    }

    /// Takes down that what this job deployed to a stage is not well, and why, or (`None`) that it is. Returns for how
    /// long it has been seen so.
    pub(crate) fn ill_for(
        &self,
        project: &ProjectName,
        stage: &Name,
        job: Uuid,
        why: Option<String>,
        now: Instant,
    ) -> Option<Duration> {
        let key = (project.clone(), stage.clone());
        let mut ill = lock(&self.ill);
        let Some(why) = why else {
            ill.remove(&key);
            return None;
        };
        let before = ill.get(&key).filter(|before| before.job == job);
        let since = before.map_or(now, |before| before.since);
        ill.insert(key, Ill { job, since, why });
        Some(now.duration_since(since))
    }

    /// What was wrong with what this job deployed to a stage, when it was looked at last.
    pub(crate) fn is_ill(&self, project: &ProjectName, stage: &Name, job: Uuid) -> Option<String> {
        let ill = lock(&self.ill);
        let found = ill.get(&(project.clone(), stage.clone()))?;
        (found.job == job).then(|| found.why.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_is_so_since_the_last_look_at_which_it_was_not() {
        let looks = Looks::default();
        let project = ProjectName::parse("shop").unwrap();
        let stage = Name::of_stage("test").unwrap();
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let begin = Instant::now();
        let minutes = |count| Duration::from_secs(60) * count;
        let look =
            |job, is_well, at| looks.well_for(&project, &stage, job, is_well, begin + minutes(at));
        assert_eq!(look(one, true, 0), Duration::ZERO);
        assert_eq!(look(one, true, 1), minutes(1));
        assert_eq!(look(one, false, 2), Duration::ZERO);
        assert_eq!(look(one, true, 3), Duration::ZERO, "it was not well before");
        assert_eq!(look(one, true, 4), minutes(1));
        assert_eq!(look(two, true, 5), Duration::ZERO, "another deployment");
    }

    #[test]
    fn what_is_ill_is_so_since_it_was_first_seen_and_no_other_deployment_is() {
        let looks = Looks::default();
        let project = ProjectName::parse("shop").unwrap();
        let stage = Name::of_stage("test").unwrap();
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let begin = Instant::now();
        let minutes = |count| Duration::from_secs(60) * count;
        let look = |job, why: Option<&str>, at| {
            let why = why.map(str::to_owned);
            looks.ill_for(&project, &stage, job, why, begin + minutes(at))
        };
        let is_ill = |job| looks.is_ill(&project, &stage, job);
        assert_eq!(look(one, Some("502"), 0), Some(Duration::ZERO));
        assert_eq!(look(one, Some("500"), 2), Some(minutes(2)));
        assert_eq!((is_ill(one), is_ill(two)), (Some("500".into()), None));
        assert_eq!(look(two, Some("500"), 3), Some(Duration::ZERO));
        assert_eq!(look(two, None, 4), None);
        assert_eq!((is_ill(one), is_ill(two)), (None, None));
    }
}
