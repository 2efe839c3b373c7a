//! The kinds of jobs that every test of the engine tries.

use crate::{domain::JobKind, plan::Staying};

/// A kind of job, of a workspace, a stage or a build as it is before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Create,
    Delete,
    DeleteWithBranch,
    DeleteByForce,
    /// One that leaves the workspace where it is, by its row.
    Stay(JobKind),
    /// The same, of one that was stopped.
    StayStopped(JobKind),
    DeleteStopped,
    Build,
    Template,
    /// A build comes to run in a stage where nothing ran.
    FirstPromote,
    /// A build follows what runs in a stage.
    Promote,
    /// Of an app on a Unix socket, which has no vhost of its own.
    CreateOnSocket,
    DeleteOnSocket,
    DeployOnSocket,
    StopOnSocket,
    StartOnSocket,
}

impl Kind {
    pub(super) const RESTART: Self = Self::Stay(JobKind::Restart);
    pub(super) const DEPLOY: Self = Self::Stay(JobKind::Deploy);

    /// The same kind of any app.
    pub(super) fn of_any(self) -> Self {
        match self {
            Self::CreateOnSocket => Self::Create,
            Self::DeleteOnSocket => Self::Delete,
            Self::DeployOnSocket => Self::DEPLOY,
            Self::StopOnSocket => Self::Stay(JobKind::Stop),
            Self::StartOnSocket => Self::Stay(JobKind::Start),
            kind => kind,
        }
    }

    /// The same of a workspace whose processes run.
    pub(super) fn of_running(self) -> Self {
        match self {
            Self::StayStopped(kind) => Self::Stay(kind),
            Self::DeleteStopped => Self::Delete,
            kind => kind,
        }
    }
}

/// All kinds that every test of the engine tries.
pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind::Create,
        Kind::Delete,
        Kind::DeleteWithBranch,
        Kind::Build,
        Kind::Template,
        Kind::FirstPromote,
        Kind::Promote,
        Kind::CreateOnSocket,
        Kind::DeleteOnSocket,
        Kind::DeployOnSocket,
        Kind::StopOnSocket,
        Kind::StartOnSocket,
        Kind::DeleteStopped,
        Kind::StayStopped(JobKind::Restart),
        Kind::StayStopped(JobKind::Deploy),
    ];
    kinds.extend(Staying::ALL.iter().map(|row| Kind::Stay(row.kind)));
    kinds
}
