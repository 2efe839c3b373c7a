//! What a helper writes on its standard output: one JSON document a line.

use crate::{
    budget,
    fault::{Fault, Lost},
};
use serde::{Deserialize, Serialize};
use std::io::Write;

/// What a helper's lock file becomes for the folder of its connection; see [`git::ssh`].
pub const CONNECTION: &str = "ssh";

/// Longest output line passed on, in bytes; the rest of a longer one is dropped.
pub const MAX_LINE: usize = budget::LINE.most;

/// One line of a helper's standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Output of the work that goes on.
    Line(String),
    /// The work is done; the request's reply.
    Reply(serde_json::Value),
    /// The work failed.
    Fault {
        /// What happened, beginning with `cannot`.
        message: String,
        /// What to do about it.
        hint: Option<String>,
        /// Whether the network is to blame.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<Lost>,
        /// Whether the command is no program that can be started.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_program: bool,
    },
}

impl Answer {
    /// Writes it on standard output. Nobody listening is no error: standard input ends as well
    /// then, and that is what ends a helper.
    pub fn send(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(&line).and_then(|()| out.flush());
        }
    }
}

impl From<Result<serde_json::Value, Fault>> for Answer {
    fn from(done: Result<serde_json::Value, Fault>) -> Self {
        match done {
            Ok(reply) => Self::Reply(reply),
            Err(fault) => Self::Fault {
                message: fault.message,
                hint: fault.hint,
                lost: fault.lost,
                no_program: fault.no_program,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::*;

    #[test]
    fn reads_as_documented() {
        let texts = [
            (Answer::Line("x".into()), r#"{"line":"x"}"#),
            (Answer::Reply(serde_json::Value::Null), r#"{"reply":null}"#),
            (
                Answer::Fault {
                    message: "cannot".into(),
                    hint: None,
                    lost: None,
                    no_program: false,
                },
                r#"{"fault":{"message":"cannot","hint":null}}"#,
            ),
        ];
        for (answer, text) in texts {
            assert_eq!(serde_json::to_string(&answer).unwrap(), text);
            assert_eq!(serde_json::from_str::<Answer>(text).unwrap(), answer);
        }
    }
}
