//! What a command's end means to a script: the one place that knows the numbers.

use crate::{JobState, Kind};
use std::process::ExitCode;

/// The exit status of `cictl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the job failed, drift is left, or something unexpected.
    Failed,
    /// 2: usage or invalid input.
    Usage,
    /// 3: there is no such thing.
    NotFound,
    /// 4: the caller may not.
    Denied,
    /// 5: refused as things are: it exists already, a job is in the way, a limit is reached, work would be lost.
    Conflict,
    /// 6: the daemon cannot be reached.
    Unreachable,
    /// 130: interrupted while waiting; the job goes on.
    Detached,
    /// 141, as by SIGPIPE: the reader of the output has gone.
    BrokenPipe,
    /// 0 to 255: what a command said that was run in a workspace.
    Command(u8),
}

impl Exit {
    /// The number the process exits with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Denied => 4,
            Self::Conflict => 5,
            Self::Unreachable => 6,
            Self::Detached => 130,
            Self::BrokenPipe => 141,
            Self::Command(code) => code,
        }
    }

    /// How waiting for a job ends that came to rest in this state.
    #[must_use]
    pub fn of_job(state: JobState) -> Self {
        if state == JobState::Done {
            Self::Done
        } else {
            Self::Failed
        }
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Invalid => Self::Usage,
            Kind::NotFound => Self::NotFound,
            Kind::Denied | Kind::SignedOut => Self::Denied,
            Kind::Conflict | Kind::Refused | Kind::Busy => Self::Conflict,
            Kind::Unreachable | Kind::Disconnected | Kind::Timeout | Kind::Unavailable => {
                Self::Unreachable
            }
            Kind::Cancelled | Kind::Internal => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
