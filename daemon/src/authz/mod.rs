//! Who may do what. Permission is data ([`table`]), decided in one place ([`Gate`]). A call about a
//! workspace gets a [`Claim`], which becomes a [`Permit`] once that workspace is known. The engine takes
//! the permit by value.

mod accounts;
mod actor;
mod call;
mod caller;
mod deny;
mod guest;
mod host;
mod permit;
pub mod polkit;
mod subject;
pub mod table;
mod viewer;

pub use accounts::Accounts;
pub use actor::Actor;
pub use call::{Call, Known};
pub use caller::{Caller, Door, Process};
pub use deny::DenyList;
pub use guest::{Guest, Person};
pub use host::Host;
pub use permit::{Claim, Permit};
pub use polkit::Polkit;
pub use subject::Subject;
pub use table::{Action, Right};
pub use viewer::Viewer;

use crate::error::Error;
use async_trait::async_trait;
use std::sync::Arc;

/// An authority's decision.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No.
    Denied(Denial),
}

/// Why the call is denied, for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason.
    pub reason: String,
    /// What the caller can do about it.
    pub hint: Option<String>,
}

impl Decision {
    /// A denial with this reason.
    pub fn denied(reason: impl Into<String>) -> Self {
        let (reason, hint) = (reason.into(), None);
        Self::Denied(Denial { reason, hint })
    }

    /// Adds what the caller can do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Allowed => Self::Allowed,
            Self::Denied(Denial { reason, .. }) => Self::Denied(Denial {
                reason,
                hint: Some(hint.into()),
            }),
        }
    }
}

/// The question to an authority.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The call.
    pub call: &'a Call,
    /// The kind of right it needs.
    pub action: Action,
    /// The workspace it is about, and whether it is the caller's own.
    pub subject: Option<(&'a Subject, bool)>,
}

/// Decides about calls that the table allows: the owner rule in a sandbox, polkit on a host. An authority
/// that cannot decide denies.
#[async_trait]
pub trait Authority: Send + Sync {
    /// Whether this caller may make any call at all. For calls whose subject is not known yet.
    async fn admit(&self, caller: &Caller) -> Decision;

    /// Whether the call is allowed. Must deny every caller that [`Authority::admit`] denies.
    async fn decide(&self, question: Question<'_>) -> Decision;
}

/// The sandbox's rule: root and the daemon's own user may do everything, everybody else nothing.
pub struct OwnerOnly {
    /// The daemon's own user id.
    pub uid: u32,
}

#[async_trait]
impl Authority for OwnerOnly {
    async fn admit(&self, caller: &Caller) -> Decision {
        if caller.uid == 0 || caller.uid == self.uid {
            Decision::Allowed
        } else {
            Decision::denied(format!("this sandbox belongs to user {}", self.uid))
        }
    }

    async fn decide(&self, question: Question<'_>) -> Decision {
        self.admit(&question.call.caller).await
    }
}

/// The one place where calls are let in.
#[derive(Clone)]
pub struct Gate {
    authority: Arc<dyn Authority>,
    accounts: Accounts,
}

impl Gate {
    /// A gate that asks this authority.
    pub fn new(authority: Arc<dyn Authority>) -> Self {
        Self::with_accounts(authority, Accounts::of_this_machine())
    }

    /// Like [`Self::new`], with other accounts than this machine's.
    pub fn with_accounts(authority: Arc<dyn Authority>, accounts: Accounts) -> Self {
        Self {
            authority,
            accounts,
        }
    }

    /// Admits a call or denies it. `None` means that the call is allowed; a [`Claim`] has yet to be bound
    /// to what the call is about.
    ///
    /// # Errors
    /// Denied: the table has no row, the socket is wrong, or the authority denies.
    pub async fn admit(&self, call: &Arc<Call>) -> Result<Option<Claim>, Error> {
        let rpc = &call.rpc;
        let Some(row) = table::find(rpc) else {
            return Err(self.refuse(call, format!("{rpc} is not for anybody")).await);
        };
        // A call that is denied before its subject is known counts as a call about somebody else's
        // workspace.
        let (Right::Plain(action) | Right::About { other: action, .. }) = row.right;
        call.lock().action = Some(action);
        if !row.doors.contains(&call.caller.door) {
            let reason = format!("{rpc} is not to be had by this socket");
            return Err(self.refuse(call, reason).await);
        }
        let is_guest = call.caller.door == Door::Front;
        if is_guest && call.guest.person.is_none() && !call.guest.is_let_in(row) {
            self.refuse(call, "nobody is signed in".into()).await;
            return Err(Error::SignedOut);
        }
        match row.right {
            Right::Plain(action) => match self.decide(call, action, None).await {
                Decision::Allowed => Ok(None),
                Decision::Denied(denial) => Err(refused(&denial)),
            },
            Right::About { own, other } => match self.authority.admit(&call.caller).await {
                Decision::Allowed => Ok(Some(Claim::of_call(
                    self.clone(),
                    Arc::clone(call),
                    own,
                    other,
                ))),
                Decision::Denied(denial) => {
                    self.account(call).await;
                    call.decided(Decision::Denied(denial.clone()));
                    Err(refused(&denial))
                }
            },
        }
    }

    /// For a call that failed before its permission was checked. The reason shows what exists, so only
    /// callers who may see that may hear it.
    ///
    /// # Errors
    /// The caller may not.
    pub async fn may_hear(&self, call: &Call) -> Result<(), Error> {
        let question = Question {
            call,
            action: Action::List,
            subject: None,
        };
        self.account(call).await;
        let decision = match (call.caller.door, self.authority.admit(&call.caller).await) {
            (Door::Front, Decision::Allowed) => call.guest.may_hear(),
            _ => self.authority.decide(question).await,
        };
        match decision {
            Decision::Allowed => Ok(()),
            Decision::Denied(denial) => {
                call.decided(Decision::Denied(denial.clone()));
                Err(refused(&denial))
            }
        }
    }

    async fn decide(
        &self,
        call: &Call,
        action: Action,
        subject: Option<(&Subject, bool)>,
    ) -> Decision {
        call.lock().action = Some(action);
        let question = Question {
            call,
            action,
            subject,
        };
        let decision = self.ask(question).await;
        if decision != Decision::Allowed || !action.is_overview() {
            // For the audit log, which does not record overviews that were allowed.
            self.account(call).await;
        }
        call.decided(decision.clone());
        decision
    }

    /// The authority decides about local users. On the front's socket it decides who the front is; what the
    /// front may do is what its guest may.
    async fn ask(&self, question: Question<'_>) -> Decision {
        let Question {
            call,
            action,
            subject,
        } = question;
        if call.caller.door == Door::People {
            return self.authority.decide(question).await;
        }
        match (
            self.authority.admit(&call.caller).await,
            table::find(&call.rpc),
        ) {
            (Decision::Allowed, Some(row)) => {
                call.guest.may(row, action, subject.map(|(of, _)| of))
            }
            (Decision::Allowed, None) => Decision::denied("there is no such call"),
            (denied, _) => denied,
        }
    }

    async fn refuse(&self, call: &Call, reason: String) -> Error {
        self.account(call).await;
        let denial = Denial { reason, hint: None };
        let error = Error::Denied {
            message: denial.reason.clone(),
            hint: None,
        };
        call.decided(Decision::Denied(denial));
        error
    }

    /// What an admitted call uses to ask for further rights.
    pub fn viewer(&self, call: &Arc<Call>) -> Viewer {
        Viewer::new(self, call)
    }

    /// Whether a workspace is the caller's own: the project's file says so, or the file names no account
    /// for it, the table's row allows creators, and the caller made it.
    async fn is_own(&self, call: &Call, subject: &Subject) -> bool {
        if call.caller.door == Door::Front {
            return call.guest.owns(subject);
        }
        match &subject.account {
            Some(account) => self.account(call).await.as_ref() == Some(account),
            None => {
                table::find(&call.rpc).is_some_and(|row| row.for_creator)
                    && subject.is_made_by(&call.caller)
            }
        }
    }

    /// The caller's account; `None` without an account, and where the lookup fails.
    async fn account(&self, call: &Call) -> Option<String> {
        if let Some(person) = &call.guest.person {
            let email = person.email.to_string();
            call.lock().account = Some(email.clone());
            return Some(email);
        }
        if let Some(account) = call.lock().account.clone() {
            return Some(account);
        }
        let uid = call.caller.uid;
        let account = self.accounts.name(uid).await.unwrap_or_else(|error| {
            tracing::warn!(uid, "cannot look the caller's account up: {error}");
            None
        });
        call.lock().account.clone_from(&account);
        account
    }
}

fn refused(denial: &Denial) -> Error {
    Error::Denied {
        message: format!("you may not do this: {}", denial.reason),
        hint: denial.hint.clone(),
    }
}
