//! The kinds of jobs that every test of the engine tries.

use crate::{domain::JobKind, plan::Staying};
use std::{sync::Mutex, thread};

/// So many kinds are tried at once: a job mostly waits for the disk.
const AT_ONCE: usize = 8;

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

/// Tries every kind, each on one thread: what misbehaves, and the calls that are noted, are a thread's own.
pub(super) fn try_each(test: impl AsyncFn(Kind) + Sync) {
    let waiting = Mutex::new(kinds());
    let work = || {
        loop {
            let next = waiting.lock().unwrap().pop();
            let Some(kind) = next else { return };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(test(kind));
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
}
