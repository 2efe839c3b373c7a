//! Who uses the front: a visitor, or a person whose session the daemon has checked. The front itself has no
//! right: it has those of the guest whose request it carries.

use super::{
    Action, Decision, Subject,
    table::{Row, Through},
};
use crate::domain::{Email, Owner};

/// What somebody is told about a workspace that is not theirs, whether it exists or not.
const NOT_YOURS: &str = "this is not yours, or does not exist";

/// Someone who has proved an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The address.
    pub email: Email,
    /// May do everything that the front offers, with every workspace.
    pub is_administrator: bool,
    /// May make workspaces for other addresses.
    pub may_create_for_others: bool,
}

/// On whose behalf the front calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// The front asks nobody who they are.
    pub is_open: bool,
    /// Who is signed in.
    pub person: Option<Person>,
}

impl Guest {
    /// Whether the call may be made without signing in.
    pub(super) fn is_let_in(&self, row: &Row) -> bool {
        row.through == Through::Visitors || (self.is_open && row.open)
    }

    /// Whether what belongs to this address is theirs to see; `None`: it belongs to a project.
    pub(super) fn sees(&self, email: Option<&Email>) -> bool {
        let is_theirs = |person: &Person| person.is_administrator || Some(&person.email) == email;
        self.is_open || self.person.as_ref().is_some_and(is_theirs)
    }

    /// Whether it is their own.
    pub(super) fn owns(&self, subject: &Subject) -> bool {
        let owner = subject.owner.as_ref().and_then(Owner::person);
        let is_theirs = |person: &Person| Some(&person.email) == owner;
        self.person.as_ref().is_some_and(is_theirs)
    }

    /// The only address whose workspaces they see; `None`: they see all, or none.
    pub(super) fn only(&self) -> Option<&Email> {
        let person = self.person.as_ref().filter(|_| !self.is_open)?;
        (!person.is_administrator).then_some(&person.email)
    }

    /// Whether the call is allowed. Without a subject it is about nothing that belongs to anybody, or its
    /// service asks [`Guest::sees`].
    pub(super) fn may(&self, row: &Row, action: Action, subject: Option<&Subject>) -> Decision {
        if self.is_let_in(row) {
            return Decision::Allowed;
        }
        let Some(person) = &self.person else {
            return Decision::denied("nobody is signed in");
        };
        let for_others = action == Action::CreateForOthers && person.may_create_for_others;
        let may = match row.through {
            Through::Nobody => false,
            Through::Visitors | Through::People => true,
            Through::Owner => {
                person.is_administrator || for_others || subject.is_none_or(|of| self.owns(of))
            }
            Through::Administrators => person.is_administrator,
        };
        match (may, row.through) {
            (true, _) => Decision::Allowed,
            (false, Through::Owner) => Decision::denied(NOT_YOURS),
            (false, _) => Decision::denied("this is for administrators"),
        }
    }

    /// Whether they may hear why a call failed before it was known what it is about.
    pub(super) fn may_hear(&self) -> Decision {
        match &self.person {
            Some(person) if !person.is_administrator && !self.is_open => {
                Decision::denied(NOT_YOURS)
            }
            None if !self.is_open => Decision::denied("nobody is signed in"),
            _ => Decision::Allowed,
        }
    }
}
