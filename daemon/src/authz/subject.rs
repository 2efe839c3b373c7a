//! What a call is about.

use super::{Caller, Door};
use crate::domain::{Creator, Name, Owner, ProjectName};
use std::fmt;
use uuid::Uuid;

/// What a call is about: a workspace that exists or that the call is to make, or a project's builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its project.
    pub project: ProjectName,
    /// Whose it is; `None`: it is about the project's builds.
    pub owner: Option<Owner>,
    /// Its name; `None` if it is yet to be made.
    pub workspace: Option<Name>,
    /// The Unix account that the project file gives this address.
    pub account: Option<String>,
    /// Who made it; `None` if it is yet to be made or its owner cannot be determined.
    pub creator: Option<Creator>,
    /// Of a stage: the Unix group whose members may deploy to it, by the project file.
    pub deployers: Option<String>,
    /// The job, when the call is about one.
    pub job: Option<Uuid>,
}

impl Subject {
    /// A project's builds, and what follows from its pushes.
    pub fn of_project(project: &ProjectName) -> Self {
        Self {
            project: project.clone(),
            owner: None,
            workspace: None,
            account: None,
            creator: None,
            deployers: None,
            job: None,
        }
    }

    /// Whether this caller made it. Always false for the web form, which identifies no user.
    pub(super) fn is_made_by(&self, caller: &Caller) -> bool {
        caller.door == Door::People && self.creator == Some(Creator::User(caller.uid))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{owner} in {}", self.project),
            None => write!(f, "builds of {}", self.project),
        }
    }
}
