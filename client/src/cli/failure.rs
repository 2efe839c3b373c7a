//! How a verb can fail.

use cid_client::{Error, Exit, Job};
use std::io;

/// How a verb ends.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Why a verb did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The daemon, or the connection to it, said no.
    Request(Error),
    /// The job came to rest otherwise than it should.
    Job(Box<Job>),
    /// Interrupted while waiting for this job, which goes on.
    Detached(String),
    /// Something on this side could not be read or written: what, and why.
    Io(&'static str, io::Error),
}

impl Failure {
    /// The exit status for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Request(error) => error.kind.into(),
            Self::Job(job) => match Exit::of_job(job.state) {
                // A job that is done is a failure where it should have been cancelled.
                Exit::Done => Exit::Failed,
                exit => exit,
            },
            Self::Detached(_) => Exit::Detached,
            Self::Io(..) if self.is_broken_pipe() => Exit::BrokenPipe,
            Self::Io(..) => Exit::Failed,
        }
    }

    /// Whether the reader of our output has gone: no reason to complain.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(_, error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

/// For what is written to standard output; say more where it is something else.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io("cannot write to standard output", error)
    }
}
