//! What a waiting job is told.

use super::Resource;
use crate::domain::{Owner, ProjectName};
use std::fmt;

/// What a job waits for, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What for.
    pub resource: Resource,
    /// How many must end before its turn, including those at work. The order may change when a project with
    /// fewer turns joins.
    pub ahead: usize,
    /// The one that has been at work longest.
    pub first: Option<Ahead>,
}

/// One that is at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// In one word, e.g. `install`.
    pub work: String,
    /// Whose workspace it is for.
    pub owner: Option<Owner>,
    /// Of which project.
    pub project: Option<ProjectName>,
    /// For how many whole minutes.
    pub minutes: u64,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waiting for {}: {} ahead", self.resource, self.ahead)?;
        match &self.first {
            Some(first) => write!(f, " ({first})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.work)?;
        if let Some(owner) = &self.owner {
            write!(f, " of {owner}")?;
        }
        if let Some(project) = &self.project {
            write!(f, " in {project}")?;
        }
        match self.minutes {
            0 => Ok(()),
            minutes => write!(f, ", {minutes} min"),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core => f.write_str("a turn"),
            Self::Mirror(project) => write!(f, "the mirror of {project}"),
            Self::Builds(project) => write!(f, "the builder of {project}"),
            Self::Build(project) => write!(f, "another build of {project}"),
            Self::Database(project) => write!(f, "the shared database of {project}"),
            Self::Tools => f.write_str("uv"),
            Self::GitServer(server) => write!(f, "a connection to {server}"),
        }
    }
}
