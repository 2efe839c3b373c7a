//! Limits on concurrent checks. The bus limits the open calls on a connection, and no user may use them all
//! up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The system bus takes 128 open calls on a connection.
const CHECKS: usize = 64;
const CHECKS_OF_ONE: usize = 8;
/// Each of these waits minutes for a person.
const PROMPTS: usize = 32;
const PROMPTS_OF_ONE: usize = 2;

/// A place among the checks; dropping it frees it.
pub(super) type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// Places for checks.
pub(super) struct Bounds {
    checks: Lane,
    prompts: Lane,
}

impl Bounds {
    pub(super) fn new() -> Self {
        Self {
            checks: Lane::new(CHECKS, CHECKS_OF_ONE),
            prompts: Lane::new(PROMPTS, PROMPTS_OF_ONE),
        }
    }

    /// Waits for a place for a check that polkit answers at once. The caller's own limit applies first, so
    /// a user with many requests waits only for themselves.
    pub(super) async fn check(&self, uid: u32) -> Option<Place> {
        let own = self.checks.of(uid).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.checks.all).acquire_owned().await.ok()?;
        Some((own, all))
    }

    /// A place for a check that prompts a person; `None` when too many are waiting already.
    pub(super) fn prompt(&self, uid: u32) -> Option<Place> {
        let own = self.prompts.of(uid).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.prompts.all).try_acquire_owned().ok()?;
        Some((own, all))
    }
}

struct Lane {
    all: Arc<Semaphore>,
    of_one: usize,
    uids: Mutex<HashMap<u32, Arc<Semaphore>>>,
}

impl Lane {
    fn new(all: usize, of_one: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            of_one,
            uids: Mutex::default(),
        }
    }

    fn of(&self, uid: u32) -> Arc<Semaphore> {
        let mut uids = self.uids.lock().unwrap_or_else(PoisonError::into_inner);
        let own = uids
            .entry(uid)
            .or_insert_with(|| Arc::new(Semaphore::new(self.of_one)));
        Arc::clone(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn whoever_asks_a_lot_keeps_nobody_else_out() {
        let bounds = Bounds::new();
        let mut held = Vec::new();
        for _ in 0..CHECKS_OF_ONE {
            held.push(bounds.check(1).await.unwrap());
        }
        assert!(bounds.check(1).now_or_never().is_none());
        assert!(bounds.check(2).now_or_never().is_some());
        held.pop();
        assert!(bounds.check(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn prompts_are_few_for_one_and_for_all() {
        let bounds = Bounds::new();
        let own: Vec<_> = (0..PROMPTS_OF_ONE).map(|_| bounds.prompt(1)).collect();
        assert!(own.iter().all(Option::is_some));
        assert!(bounds.prompt(1).is_none());
        let others: Vec<_> = (2..100).filter_map(|uid| bounds.prompt(uid)).collect();
        assert_eq!(others.len(), PROMPTS - PROMPTS_OF_ONE);
        drop(own);
        assert!(bounds.prompt(1).is_some());
        assert!(bounds.check(1).await.is_some());
    }
}
