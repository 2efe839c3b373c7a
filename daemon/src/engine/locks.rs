//! Locks by name, e.g. one per mirror; they live as long as somebody wants them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks by name.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl Locks {
    /// Waits for a lock; it is free again when the guard goes.
    pub(crate) async fn lock(&self, name: &str) -> OwnedMutexGuard<()> {
        self.named(name).lock_owned().await
    }

    /// Takes a lock that nobody has.
    pub(crate) fn try_lock(&self, name: &str) -> Option<OwnedMutexGuard<()>> {
        self.named(name).try_lock_owned().ok()
    }

    fn named(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        let found = locks.get(name).and_then(Weak::upgrade);
        found.unwrap_or_else(|| {
            let fresh = Arc::new(AsyncMutex::new(()));
            locks.insert(name.to_owned(), Arc::downgrade(&fresh));
            fresh
        })
    }
}
