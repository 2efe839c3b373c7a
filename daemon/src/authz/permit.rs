//! Proof that a caller may do something.

use super::{Action, Caller};
use std::fmt;

/// Proof that a caller may do something; only [`super::Gate`] makes one, and it is used up by what
/// it is for.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    caller: Caller,
    action: Action,
}

impl Permit {
    pub(super) fn new(caller: Caller, action: Action) -> Self {
        Self { caller, action }
    }

    /// A permit for the engine's own tests and for nothing else.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let caller = Caller {
            uid: 0,
            gid: 0,
            pid: None,
            door: super::Door::People,
        };
        Self {
            caller,
            action: Action::Create,
        }
    }

    /// Whose.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// For what.
    pub fn action(&self) -> Action {
        self.action
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} for {:?}", self.caller.uid, self.action)
    }
}
