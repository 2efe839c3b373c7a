//! What can go wrong outside.

use crate::budget::Over;
use serde::{Deserialize, Serialize};
use std::{fmt::Display, path::Path};

/// A failure of the outside: a sentence beginning with `cannot`, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What happened, for people.
    pub message: String,
    /// What to do; `None` when there is nothing better than reading the message.
    pub hint: Option<String>,
    /// The work was stopped because somebody cancelled it or the daemon is going down.
    pub cancelled: bool,
    /// The network is to blame, so that the same may work in a moment; `None`: somebody said no, or it is
    /// nothing of the kind.
    pub lost: Option<Lost>,
    /// The command that was asked for is no program that can be started: all else was in order.
    pub no_program: bool,
}

/// How a server was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// The connection broke off, or the server has too much to do.
    Connection,
    /// There was none: no name, no way, nobody listens.
    Server,
}

impl Fault {
    /// A failure that says it all in one sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            cancelled: false,
            lost: None,
            no_program: false,
        }
    }

    /// The work was stopped on purpose.
    pub fn cancelled() -> Self {
        Self {
            message: "cancelled".into(),
            hint: None,
            cancelled: true,
            lost: None,
            no_program: false,
        }
    }

    /// A failing call about a path.
    pub fn io(verb: &str, path: &Path, error: impl Display) -> Self {
        Self::new(format!("cannot {verb} {}: {error}", path.display()))
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Over> for Fault {
    fn from(over: Over) -> Self {
        Self::new(over.to_string()).hint(Over::HINT)
    }
}

/// Turns any error into a [`Fault`] that says what was being done.
pub trait FaultContext<T> {
    /// `cannot VERB: error`.
    ///
    /// # Errors
    /// The error, in that sentence.
    fn cannot(self, verb: impl Display) -> Result<T, Fault>;
}

impl<T, E: Display> FaultContext<T> for Result<T, E> {
    fn cannot(self, verb: impl Display) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(format!("cannot {verb}: {error}")))
    }
}
