//! The host's rule: who is always allowed and who never is. polkit decides about everybody else.

use super::{Accounts, Authority, Caller, Decision, DenyList, Door, Question};
use async_trait::async_trait;
use std::sync::Arc;

/// Decides on a host. Asks polkit only about callers that no fixed rule covers.
pub struct Host {
    /// The daemon's own user id. Like root, it may do everything.
    pub uid: u32,
    /// The front's user id. The front has a socket of its own.
    pub front: u32,
    /// Accounts that are always denied.
    pub denied: DenyList,
    /// User ids as accounts.
    pub accounts: Accounts,
    /// Decides about everybody else.
    pub polkit: Arc<dyn Authority>,
}

#[async_trait]
impl Authority for Host {
    async fn admit(&self, caller: &Caller) -> Decision {
        if self.is_master(caller) {
            return Decision::Allowed;
        }
        match (caller.door, caller.uid == self.front) {
            // The table limits the front to the calls that its socket allows.
            (Door::Front, true) => return Decision::Allowed,
            (Door::Front, false) => {
                return Decision::denied("this socket is for the web front alone");
            }
            (Door::People, true) => {
                return Decision::denied("the web front has a socket of its own");
            }
            (Door::People, false) => {}
        }
        if self.denied.has_uid(caller.uid) {
            return Decision::denied("accounts of workspaces and builds may not use cid");
        }
        match self.accounts.name(caller.uid).await {
            Ok(Some(name)) => match self.denied.what_is(&name) {
                Some(what) => Decision::denied(format!("{name} is {what}, which may not use cid"))
                    .hint("use it by another account"),
                None => Decision::Allowed,
            },
            Ok(None) => Decision::denied(format!("user {} has no account here", caller.uid)),
            Err(error) => Decision::denied(format!("cannot look your account up: {error}")),
        }
    }

    async fn decide(&self, question: Question<'_>) -> Decision {
        let caller = &question.call.caller;
        match self.admit(caller).await {
            Decision::Allowed if self.is_master(caller) || caller.door == Door::Front => {
                Decision::Allowed
            }
            Decision::Allowed => self.polkit.decide(question).await,
            denied @ Decision::Denied(_) => denied,
        }
    }
}

impl Host {
    fn is_master(&self, caller: &Caller) -> bool {
        caller.uid == 0 || caller.uid == self.uid
    }
}
