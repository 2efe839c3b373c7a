//! Whose a workspace is.

use super::{Email, EmailError, Name};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose a workspace is: a person's, or the project's own, as one of its stages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Owner {
    /// The person with this address.
    Person(Email),
    /// The project: the workspace is its stage of this name.
    Stage(Name),
}

impl Owner {
    /// Parses an address or a stage's name. No text is both, for a name has no `@`.
    ///
    /// # Errors
    /// It is no stage's name, and breaks this rule for addresses.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        match Name::of_stage(text) {
            Some(stage) => Ok(Self::Stage(stage)),
            None => Email::parse(text).map(Self::Person),
        }
    }

    /// The person's address; `None` for a stage.
    pub fn person(&self) -> Option<&Email> {
        match self {
            Self::Person(email) => Some(email),
            Self::Stage(_) => None,
        }
    }

    /// The stage's name; `None` for a person.
    pub fn stage(&self) -> Option<&Name> {
        match self {
            Self::Person(_) => None,
            Self::Stage(name) => Some(name),
        }
    }

    /// The address or the name as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Person(email) => email.as_str(),
            Self::Stage(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Email> for Owner {
    fn from(email: Email) -> Self {
        Self::Person(email)
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.to_string()
    }
}

impl TryFrom<String> for Owner {
    type Error = EmailError;
    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        for owner in [
            Owner::Person(Email::parse("anna@example.com").unwrap()),
            Owner::Stage(Name::of_stage("production").unwrap()),
        ] {
            assert_eq!(Owner::parse(owner.as_str()), Ok(owner.clone()));
            assert_ne!(owner.person().is_some(), owner.stage().is_some());
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        // A workspace's name, a build's, and what only looks like an address.
        for bad in [
            "",
            "anna---example-com",
            "build-7",
            "catch-all",
            "anna@",
            "a b",
        ] {
            assert!(Owner::parse(bad).is_err(), "{bad:?}");
        }
    }
}
