//! Process types, as a Procfile and `[app] run` name them.

use crate::budget::PROCESS_TYPE_NAME;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// A process type as in a Procfile: `[A-Za-z0-9_][A-Za-z0-9_-]{0,30}`. It is part of file names, of
/// supervisord's names and of a helper's arguments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProcessType(String);

impl ProcessType {
    /// Reads a process type; `None` when it breaks the rule.
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=PROCESS_TYPE_NAME.most).contains(&text.len())
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        good.then(|| Self(text.to_owned()))
    }

    /// The process type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProcessType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProcessType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not a process type like web or worker (letters, digits, _ and -, not beginning with -, at most 31)"
            ))
        })
    }
}
