//! A process of a workspace, as supervisord and cid's part of it know it.

use jiff::Timestamp;
use nix::sys::signal::Signal;
use std::fmt;

/// A process of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process type, e.g. `web`.
    pub name: String,
    /// Its state.
    pub state: ProcessState,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// When it entered this state; `None`: supervisord does not tell.
    pub since: Option<Timestamp>,
    /// How often it was restarted since its group was started.
    pub restarts: u32,
    /// How often it ended by itself since its group was started.
    pub ends: u32,
    /// How it last ended by itself; `None`: it has not.
    pub ended: Option<Ended>,
}

impl Process {
    /// Whether it runs, as far as supervisord knows.
    pub fn is_up(&self) -> bool {
        matches!(self.state, ProcessState::Running | ProcessState::Starting)
    }

    /// A summary: `has ended 3 times, last with exit status 1`, or its state.
    pub fn told(&self) -> String {
        let Some(ended) = &self.ended else {
            return format!("is {}", self.state);
        };
        match self.ends {
            0 | 1 => format!("has ended with {}", ended.how),
            ends => format!("has ended {ends} times, last with {}", ended.how),
        }
    }
}

/// supervisord's process states, with its own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// Stopped on request.
    Stopped,
    /// Started less than `startsecs` ago.
    Starting,
    /// Runs.
    Running,
    /// Exited too soon, will be started again.
    Backoff,
    /// Being stopped.
    Stopping,
    /// Exited on its own.
    Exited,
    /// Exited too soon too often; given up.
    Fatal,
    /// supervisord does not know.
    Unknown,
}

impl ProcessState {
    /// The state with this name of supervisord's.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "STOPPED" => Self::Stopped,
            "STARTING" => Self::Starting,
            "RUNNING" => Self::Running,
            "BACKOFF" => Self::Backoff,
            "STOPPING" => Self::Stopping,
            "EXITED" => Self::Exited,
            "FATAL" => Self::Fatal,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "waiting to be started again",
            Self::Stopping => "stopping",
            Self::Exited => "ended",
            Self::Fatal => "given up",
            Self::Unknown => "in a state that supervisord does not know",
        })
    }
}

/// An end of a process that was not requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub how: How,
    /// When it ended; `None`: supervisord does not tell.
    pub at: Option<Timestamp>,
    /// When it last ended by itself before that.
    pub before: Option<Timestamp>,
    /// The first of the ends that followed each other until this one.
    pub first: Option<Timestamp>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// With this exit status.
    Exit(i32),
    /// Killed by this signal.
    Signal(i32),
    /// Only supervisord's message is known, e.g. that it could not be started.
    Words(String),
}

impl How {
    /// The signal that ended the process. A shell reports 128 + N when signal N ended its command.
    pub fn signal(&self) -> Option<i32> {
        match self {
            Self::Signal(number) => Some(*number),
            Self::Exit(status @ 129..=159) => Some(status - 128),
            Self::Exit(_) | Self::Words(_) => None,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => match self.signal().map(Signal::try_from) {
                Some(Ok(signal)) => write!(f, "exit status {status} ({signal})"),
                _ => write!(f, "exit status {status}"),
            },
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "signal {signal}"),
                Err(_) => write!(f, "signal {number}"),
            },
            Self::Words(words) if words.is_empty() => f.write_str("a status that is not known"),
            Self::Words(words) => write!(f, "supervisord's words: {words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_by_status_or_signal() {
        let process = |ends, how| Process {
            name: "web".into(),
            state: ProcessState::Backoff,
            pid: None,
            since: None,
            restarts: 0,
            ends,
            ended: Some(Ended {
                how,
                at: None,
                before: None,
                first: None,
            }),
        };
        let told = |ends, how| process(ends, how).told();
        assert_eq!(told(1, How::Exit(3)), "has ended with exit status 3");
        let twice = "has ended 2 times, last with signal SIGKILL";
        assert_eq!(told(2, How::Signal(9)), twice);
        assert!(told(1, How::Signal(34)).ends_with("signal 34"));
        let by_shell = "has ended with exit status 137 (SIGKILL)";
        assert_eq!(told(1, How::Exit(137)), by_shell);
        let calm = Process {
            ended: None,
            ..process(0, How::Exit(0))
        };
        assert_eq!(calm.told(), "is waiting to be started again");
    }
}
