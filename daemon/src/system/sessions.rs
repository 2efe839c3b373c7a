//! The commands that people run in workspaces now: how many are allowed, and that they end with their
//! workspace.

use crate::domain::{Opener, UnitName};
use cid_protocol::budget::{RUNS, RUNS_OF_PERSON, RUNS_OF_USER, RUNS_OF_WORKSPACE};
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
const PER_PERSON: usize = RUNS_OF_PERSON.most;
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
    openers: Vec<Opener>,
}

/// Which limit keeps another command from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The caller's own.
    #[error(
        "cannot run another command: your account has {PER_USER} at work in workspaces already"
    )]
    User,
    /// The same of someone at the front.
    #[error("cannot run another command: you have {PER_PERSON} at work in workspaces already")]
    Person,
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
    /// Whether anybody runs a command in this workspace.
    pub fn has_any(&self, unit: &UnitName) -> bool {
        let open = self.lock();
        open.get(unit).is_some_and(|open| !open.openers.is_empty())
    }

    /// Reserves a place for a command of this opener in a workspace.
    ///
    /// # Errors
    /// The limit is reached.
    pub fn begin(self: &Arc<Self>, unit: &UnitName, opener: Opener) -> Result<Place, Full> {
        let mut open = self.lock();
        let own = |open: &Open| open.openers.iter().filter(|of| **of == opener).count();
        let (most, full) = match opener.is_person() {
            true => (PER_PERSON, Full::Person),
            false => (PER_USER, Full::User),
        };
        if open.values().map(own).sum::<usize>() >= most {
            return Err(full);
        }
        if open
            .get(unit)
            .is_some_and(|open| open.openers.len() >= PER_WORKSPACE)
        {
            return Err(Full::Workspace);
        }
        let of_all = Arc::clone(&self.all).try_acquire_owned();
        let of_all = of_all.map_err(|_| Full::All)?;
        let here = open.entry(unit.clone()).or_default();
        here.openers.push(opener.clone());
        Ok(Place {
            sessions: Arc::clone(self),
            unit: unit.clone(),
            opener,
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
    opener: Opener,
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
        if let Some(mine) = here.openers.iter().position(|of| *of == self.opener) {
            here.openers.swap_remove(mine);
        }
        if here.openers.is_empty() {
            open.remove(&self.unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Email;

    fn user(uid: u32) -> Opener {
        Opener::new(uid, None)
    }

    fn unit(number: usize) -> UnitName {
        UnitName::parse(&format!("shop.w{number}")).unwrap()
    }

    #[test]
    fn each_bound_holds_and_places_come_back() {
        let sessions = Arc::new(Sessions::default());
        let begin = |workspace: usize, uid: usize| {
            sessions.begin(&unit(workspace), user(u32::try_from(uid).unwrap()))
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

    #[test]
    fn people_at_the_front_have_places_of_their_own() {
        let sessions = Arc::new(Sessions::default());
        let begin = |email: &str, workspace: usize| {
            let email = Email::parse(email).unwrap();
            sessions.begin(&unit(workspace), Opener::new(9, Some(&email)))
        };
        let of_anna: Vec<_> = (0..PER_PERSON)
            .map(|n| begin("anna@example.com", n).unwrap())
            .collect();
        assert_eq!(begin("anna@example.com", 99).err(), Some(Full::Person));
        assert!(begin("ben@example.com", 0).is_ok());
        drop(of_anna);
        assert!(begin("anna@example.com", 99).is_ok());
    }

    #[tokio::test]
    async fn a_workspaces_end_is_told_to_its_own_commands_only() {
        let sessions = Arc::new(Sessions::default());
        let (gone, other) = (
            sessions.begin(&unit(1), user(7)).unwrap(),
            sessions.begin(&unit(2), user(7)).unwrap(),
        );
        sessions.end(&unit(1));
        assert!(gone.ended().is_cancelled() && !other.ended().is_cancelled());
        let later = sessions.begin(&unit(1), user(7)).unwrap();
        assert!(!later.ended().is_cancelled());
    }

    #[tokio::test]
    async fn the_end_waits_for_those_that_are_being_ended() {
        let sessions = Arc::new(Sessions::default());
        let place = sessions.begin(&unit(1), user(7)).unwrap();
        let closing = sessions.close(Duration::from_secs(30));
        let ended = async {
            tokio::task::yield_now().await;
            assert_eq!(sessions.begin(&unit(2), user(8)).err(), Some(Full::All));
            drop(place);
        };
        assert!(tokio::join!(closing, ended).0);
        assert_eq!(sessions.begin(&unit(1), user(7)).err(), Some(Full::All));
    }
}
