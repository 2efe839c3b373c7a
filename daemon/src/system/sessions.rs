//! The commands that people run in workspaces now: how many are allowed, and that they end with their
//! workspace.

use crate::domain::UnitName;
use cid_protocol::budget::{RUNS, RUNS_OF_USER, RUNS_OF_WORKSPACE};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const PER_USER: usize = RUNS_OF_USER.most;
const PER_WORKSPACE: usize = RUNS_OF_WORKSPACE.most;
const ALL: usize = RUNS.most;

/// The commands that people run in workspaces.
pub struct Sessions {
    all: Arc<Semaphore>,
    open: Mutex<HashMap<UnitName, Open>>,
}

/// A workspace's.
#[derive(Default)]
struct Open {
    /// Fired when they are to end.
    ended: CancellationToken,
    /// Who runs them.
    uids: Vec<u32>,
}

/// Which limit keeps another command from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The caller's own.
    #[error(
        "cannot run another command: your account has {PER_USER} at work in workspaces already"
    )]
    User,
    /// The workspace's.
    #[error(
        "cannot run another command in this workspace: {PER_WORKSPACE} are at work there already"
    )]
    Workspace,
    /// The machine's.
    #[error("cannot run another command: {ALL} are at work in workspaces already")]
    All,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(ALL)),
            open: Mutex::default(),
        }
    }
}

impl Sessions {
    /// Reserves a place for a command of this user in a workspace.
    ///
    /// # Errors
    /// The limit is reached.
    pub fn begin(self: &Arc<Self>, unit: &UnitName, uid: u32) -> Result<Place, Full> {
        let mut open = self.lock();
        let of_user = |open: &Open| open.uids.iter().filter(|of| **of == uid).count();
        if open.values().map(of_user).sum::<usize>() >= PER_USER {
            return Err(Full::User);
        }
        if open
            .get(unit)
            .is_some_and(|open| open.uids.len() >= PER_WORKSPACE)
        {
            return Err(Full::Workspace);
        }
        let of_all = Arc::clone(&self.all).try_acquire_owned();
        let of_all = of_all.map_err(|_| Full::All)?;
        let here = open.entry(unit.clone()).or_default();
        here.uids.push(uid);
        Ok(Place {
            sessions: Arc::clone(self),
            unit: unit.clone(),
            uid,
            ended: here.ended.clone(),
            _of_all: of_all,
        })
    }

    /// Ends a workspace's commands.
    pub fn end(&self, unit: &UnitName) {
        if let Some(open) = self.lock().get_mut(unit) {
            // Commands that begin later are not affected.
            std::mem::take(&mut open.ended).cancel();
        }
    }

    /// Lets no further command begin, and waits up to this long for those that are ending. Returns whether
    /// none is left.
    pub async fn close(&self, limit: Duration) -> bool {
        let closed = timeout(limit, self.all.acquire_many(ALL as u32)).await;
        self.all.close();
        matches!(closed, Ok(Ok(_)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UnitName, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command's place within the limits; released on drop.
#[must_use]
pub struct Place {
    sessions: Arc<Sessions>,
    unit: UnitName,
    uid: u32,
    ended: CancellationToken,
    _of_all: OwnedSemaphorePermit,
}

impl Place {
    /// Fired when the command is to end with its workspace.
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        let Some(here) = open.get_mut(&self.unit) else {
            return;
        };
        if let Some(mine) = here.uids.iter().position(|uid| *uid == self.uid) {
            here.uids.swap_remove(mine);
        }
        if here.uids.is_empty() {
            open.remove(&self.unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(number: usize) -> UnitName {
        UnitName::parse(&format!("shop.w{number}")).unwrap()
    }

    #[test]
    fn each_bound_holds_and_places_come_back() {
        let sessions = Arc::new(Sessions::default());
        let begin = |workspace: usize, uid: usize| {
            sessions.begin(&unit(workspace), u32::try_from(uid).unwrap())
        };
        let of_one: Vec<_> = (0..PER_USER).map(|n| begin(n, 1).unwrap()).collect();
        assert_eq!(begin(99, 1).err(), Some(Full::User));
        let more: Vec<_> = (1..PER_WORKSPACE)
            .map(|n| begin(0, 10 + n).unwrap())
            .collect();
        assert_eq!(begin(0, 2).err(), Some(Full::Workspace));
        let left = ALL - of_one.len() - more.len();
        let rest: Vec<_> = (0..left)
            .map(|n| begin(100 + n, 100 + n).unwrap())
            .collect();
        assert_eq!(begin(200, 2).err(), Some(Full::All));
        drop((of_one, more, rest));
        assert!(sessions.lock().is_empty());
        let again: Vec<_> = (0..PER_USER).map(|_| begin(0, 1).unwrap()).collect();
        assert_eq!(again.len(), PER_USER);
    }

    #[tokio::test]
    async fn a_workspaces_end_is_told_to_its_own_commands_only() {
        let sessions = Arc::new(Sessions::default());
        let (gone, other) = (
            sessions.begin(&unit(1), 7).unwrap(),
            sessions.begin(&unit(2), 7).unwrap(),
        );
        sessions.end(&unit(1));
        assert!(gone.ended().is_cancelled() && !other.ended().is_cancelled());
        let later = sessions.begin(&unit(1), 7).unwrap();
        assert!(!later.ended().is_cancelled());
    }

    #[tokio::test]
    async fn the_end_waits_for_those_that_are_being_ended() {
        let sessions = Arc::new(Sessions::default());
        let place = sessions.begin(&unit(1), 7).unwrap();
        let closing = sessions.close(Duration::from_secs(30));
        let ended = async {
            tokio::task::yield_now().await;
            assert_eq!(sessions.begin(&unit(2), 8).err(), Some(Full::All));
            drop(place);
        };
        assert!(tokio::join!(closing, ended).0);
        assert_eq!(sessions.begin(&unit(1), 7).err(), Some(Full::All));
    }
}
