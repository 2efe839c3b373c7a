//! The releases of Debian that cid is for.

use anyhow::{Context, Result};
use std::{env, fmt, str::FromStr};

/// The variable that says which release tests boot.
pub const DEBIAN: &str = "CID_DEBIAN";

/// A release, and what differs between them for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Debian {
    /// As people call it.
    pub number: u8,
    /// As the package archive calls it.
    pub suite: &'static str,
    /// The version of its `python3`.
    pub python: &'static str,
}

impl Debian {
    /// The oldest first.
    pub const ALL: [Self; 2] = [
        Self {
            number: 12,
            suite: "bookworm",
            python: "3.11",
        },
        Self {
            number: 13,
            suite: "trixie",
            python: "3.13",
        },
    ];

    /// The newest one: what a new server runs.
    #[must_use]
    pub const fn newest() -> Self {
        Self::ALL[Self::ALL.len() - 1]
    }

    /// The one that [`DEBIAN`] names; without it the newest.
    ///
    /// # Errors
    /// It names none of them.
    pub fn asked() -> Result<Self> {
        match env::var(DEBIAN) {
            Ok(asked) => asked.parse().with_context(|| format!("{DEBIAN}={asked}")),
            Err(_) => Ok(Self::newest()),
        }
    }
}

impl fmt::Display for Debian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

impl FromStr for Debian {
    type Err = anyhow::Error;

    /// By its number or by its suite's name.
    fn from_str(text: &str) -> Result<Self> {
        let is_it = |of: &Self| of.suite == text || of.number.to_string() == text;
        let known = Self::ALL
            .map(|of| format!("{of} ({})", of.suite))
            .join(", ");
        let found = Self::ALL.into_iter().find(is_it);
        found.with_context(|| format!("not a release that hosts are made of; they are {known}"))
    }
}
