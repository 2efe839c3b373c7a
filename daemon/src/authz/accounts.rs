//! User ids as accounts of this machine.

use nix::unistd::{Uid, User};
use std::{sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::timeout};

/// A directory server that holds accounts may not answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Where accounts are looked up. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<dyn Fn(u32) -> Result<Option<String>, String> + Send + Sync>);

impl Accounts {
    /// The accounts of this machine.
    pub fn of_this_machine() -> Self {
        Self::new(|uid| {
            let user = User::from_uid(Uid::from_raw(uid)).map_err(|error| error.to_string())?;
            Ok(user.map(|user| user.name))
        })
    }

    /// Accounts that a function looks up.
    pub fn new(
        name: impl Fn(u32) -> Result<Option<String>, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(name))
    }

    /// The account name of a user id; `None` when the user id has no account.
    ///
    /// # Errors
    /// The lookup fails or takes too long.
    pub async fn name(&self, uid: u32) -> Result<Option<String>, String> {
        let lookup = Arc::clone(&self.0);
        match timeout(LIMIT, spawn_blocking(move || lookup(uid))).await {
            Ok(Ok(name)) => name,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
        }
    }
}
