//! Who may do what. Permission is data ([`table`]), decided in one place ([`Gate`]), and what was
//! decided is a [`Permit`] that the engine asks for by value.

mod caller;
mod permit;
pub mod table;

pub use caller::{Caller, Door};
pub use permit::Permit;
pub use table::Action;

use crate::error::Error;
use async_trait::async_trait;
use std::sync::Arc;

/// What an authority says.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No; why, for the caller.
    Denied(String),
}

/// Whoever decides when the table has let a call pass: the sandbox's owner rule, or polkit on a
/// host. An authority that cannot decide denies.
#[async_trait]
pub trait Authority: Send + Sync {
    /// May this caller do this?
    async fn decide(&self, caller: &Caller, action: Action) -> Decision;
}

/// Root and the daemon's own user may all, everybody else nothing: the sandbox's rule.
pub struct OwnerOnly {
    /// The daemon's own.
    pub uid: u32,
}

#[async_trait]
impl Authority for OwnerOnly {
    async fn decide(&self, caller: &Caller, _: Action) -> Decision {
        if caller.uid == 0 || caller.uid == self.uid {
            Decision::Allowed
        } else {
            Decision::Denied(format!("this sandbox belongs to user {}", self.uid))
        }
    }
}

/// The one place where calls are let in.
#[derive(Clone)]
pub struct Gate {
    authority: Arc<dyn Authority>,
}

impl Gate {
    /// A gate that asks this authority.
    pub fn new(authority: Arc<dyn Authority>) -> Self {
        Self { authority }
    }

    /// Lets a call in or not. `rpc` is the request's path, e.g. `/cid.v1.Workspaces/Create`.
    ///
    /// # Errors
    /// Denied: no row in the table, the wrong door, or the authority says no.
    pub async fn permit(&self, caller: &Caller, rpc: &str) -> Result<Permit, Error> {
        let Some(row) = table::find(rpc) else {
            return Err(Error::Denied(format!("{rpc} is not for anybody")));
        };
        let door = caller.door;
        if !row.doors.contains(&door) {
            tracing::warn!(rpc, uid = caller.uid, "denied: not by the {door:?} socket");
            return Err(Error::Denied(format!(
                "{rpc} is not to be had by this socket"
            )));
        }
        match self.authority.decide(caller, row.action).await {
            Decision::Allowed => Ok(Permit::new(caller.clone(), row.action)),
            Decision::Denied(reason) => {
                tracing::warn!(rpc, uid = caller.uid, "denied: {reason}");
                Err(Error::Denied(format!("you may not do this: {reason}")))
            }
        }
    }
}
