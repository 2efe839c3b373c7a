//! Proof that a caller may do something, and the claim that precedes it.

use super::{Action, Call, Decision, Door, Gate, Subject, refused};
use crate::{
    domain::{Creator, Email},
    error::Error,
};
use std::{fmt, sync::Arc};

/// A call that has been admitted but not decided, because what it is about is in the request. It can only
/// be [bound](Claim::bind).
#[must_use]
#[derive(Clone)]
pub struct Claim {
    pub(super) gate: Gate,
    pub(super) call: Arc<Call>,
    pub(super) own: Action,
    pub(super) other: Action,
}

impl Claim {
    /// Records the program that is to be run, for the audit log.
    pub fn runs(&self, program: &str) {
        self.call.lock().program = Some(program.to_owned());
    }

    /// Asks whether the caller may make this call about this workspace.
    ///
    /// # Errors
    /// The caller may not, or the authority cannot decide.
    pub async fn bind(self, subject: Subject) -> Result<Permit, Error> {
        let Self {
            gate,
            call,
            own,
            other,
        } = self;
        let is_own = gate.is_own(&call, &subject).await;
        let action = if is_own { own } else { other };
        {
            let mut known = call.lock();
            known.job = subject.job;
            known.subject = Some(subject.clone());
        }
        match gate.decide(&call, action, Some((&subject, is_own))).await {
            Decision::Allowed => Ok(Permit { call, action }),
            Decision::Denied(denial) => Err(refused(&denial)),
        }
    }
}

/// Proof that a caller may do something to a workspace. Only [`Claim::bind`] makes one, and the action
/// consumes it.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    call: Arc<Call>,
    action: Action,
}

impl Permit {
    /// The caller's user id.
    pub fn uid(&self) -> u32 {
        self.call.caller.uid
    }

    /// The creator of a workspace for this address. For the web form, only the address is known.
    pub fn creator(&self, email: &Email) -> Creator {
        match self.call.caller.door {
            Door::People => Creator::User(self.call.caller.uid),
            Door::Front => Creator::Address(email.clone()),
        }
    }

    /// A permit for the engine's own tests only.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let caller = super::Caller {
            uid: 0,
            gid: 0,
            process: None,
            door: Door::People,
        };
        Self {
            call: Arc::new(Call::new(caller, "/cid.v1.Workspaces/Create", false)),
            action: Action::CreateForOthers,
        }
    }

    /// The call it was issued for.
    pub fn call(&self) -> Arc<Call> {
        Arc::clone(&self.call)
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} for {}", self.call.caller.uid, self.action.id())
    }
}
