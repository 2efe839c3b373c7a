//! What a call is about.

use super::{Caller, Door};
use crate::domain::{Creator, Email, Name, ProjectName};
use std::fmt;
use uuid::Uuid;

/// The workspace that a call is about, there already or still to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Of which project.
    pub project: ProjectName,
    /// Whose.
    pub email: Email,
    /// Its name; `None` for one that is to be made.
    pub workspace: Option<Name>,
    /// The Unix account that the project file gives this address.
    pub account: Option<String>,
    /// Who made it; `None` for one that is to be made, and where nobody can tell whose it is.
    pub creator: Option<Creator>,
    /// The job, when the call is about one.
    pub job: Option<Uuid>,
}

impl Subject {
    /// Whether this caller made it. By the form nobody is known.
    pub(super) fn is_made_by(&self, caller: &Caller) -> bool {
        caller.door == Door::People && self.creator == Some(Creator::User(caller.uid))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.email, self.project)
    }
}
