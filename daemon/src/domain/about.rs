//! What a job is about.

use super::{Creator, Name, Owner, ProjectName, UnitName};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use tracing::field::DisplayValue;

/// What a job is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A workspace, or a stage.
    Workspace {
        /// Its number.
        id: i64,
        /// Whose it is.
        owner: Owner,
        /// Its name.
        name: Name,
        /// `WORK_DIR/NAME`; empty where it is gone.
        directory: PathBuf,
        /// Who asked for it.
        creator: Creator,
    },
    /// A build, or a template, which is made like one.
    Build {
        /// Its number in the ledger.
        id: i64,
        /// Its number in the project.
        number: u32,
        /// It is a template.
        is_template: bool,
        /// The folder of its files; empty where it is gone.
        directory: PathBuf,
        /// Who asked for it.
        creator: Creator,
    },
}

impl About {
    /// The folder that the job works in.
    pub fn directory(&self) -> &Path {
        match self {
            Self::Workspace { directory, .. } | Self::Build { directory, .. } => directory,
        }
    }

    /// Who asked for it.
    pub fn creator(&self) -> &Creator {
        match self {
            Self::Workspace { creator, .. } | Self::Build { creator, .. } => creator,
        }
    }

    /// Whose workspace it is about; `None` for a build.
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Workspace { owner, .. } => Some(owner),
            Self::Build { .. } => None,
        }
    }

    /// The workspace's name, or `build-12` or `template-12`, which no workspace can have.
    pub fn name(&self) -> String {
        match self {
            Self::Workspace { name, .. } => name.to_string(),
            Self::Build { number, .. } => format!("{}-{number}", self.made()),
        }
    }

    /// What it makes, where it is about no workspace.
    fn made(&self) -> &'static str {
        match self {
            Self::Build {
                is_template: true, ..
            } => "template",
            _ => "build",
        }
    }

    /// For the log's field WORKSPACE: none of a build.
    pub fn logged_workspace(&self) -> Option<DisplayValue<&Name>> {
        match self {
            Self::Workspace { name, .. } => Some(tracing::field::display(name)),
            Self::Build { .. } => None,
        }
    }

    /// The stage's name, where it is one.
    pub fn stage(&self) -> Option<&Name> {
        match self {
            Self::Workspace { owner, .. } => owner.stage(),
            Self::Build { .. } => None,
        }
    }

    /// For the log's field BUILD: a build's number.
    pub fn logged_build(&self) -> Option<u32> {
        match self {
            Self::Build {
                number,
                is_template: false,
                ..
            } => Some(*number),
            _ => None,
        }
    }

    /// Number of the workspace; 0, which no workspace has, for a build.
    pub fn workspace(&self) -> i64 {
        match self {
            Self::Workspace { id, .. } => *id,
            Self::Build { .. } => 0,
        }
    }

    /// `PROJECT.NAME`.
    pub fn unit(&self, project: &ProjectName) -> UnitName {
        match self {
            Self::Workspace { name, .. } => UnitName::new(project, name),
            Self::Build { number, .. } => UnitName::made(project, self.made(), *number),
        }
    }
}

/// For people: an address, or `build 12`, or `template 12`.
impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace { owner, .. } => write!(f, "{owner}"),
            Self::Build { number, .. } => write!(f, "{} {number}", self.made()),
        }
    }
}
