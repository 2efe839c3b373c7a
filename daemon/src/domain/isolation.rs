//! Whose account a workspace's files and processes are.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose account a workspace's files and processes are. Recorded when it is made: what the project's
/// file says later counts for later workspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Isolation {
    /// Its own, made and removed with it; in a sandbox whoever runs that.
    #[default]
    Workspace,
    /// The developer's, of this name.
    Owner(String),
    /// One for all workspaces of the project, of this name.
    Shared(String),
}

impl Isolation {
    /// The account of which others' processes and files are too: it is never made, emptied or removed.
    pub fn borrowed(&self) -> Option<&str> {
        match self {
            Self::Workspace => None,
            Self::Owner(account) | Self::Shared(account) => Some(account),
        }
    }
}

/// As the ledger has it: `workspace`, `owner:ACCOUNT`, `shared:ACCOUNT`. No account's name has a colon.
impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace => f.write_str("workspace"),
            Self::Owner(account) => write!(f, "owner:{account}"),
            Self::Shared(account) => write!(f, "shared:{account}"),
        }
    }
}

impl From<Isolation> for String {
    fn from(isolation: Isolation) -> Self {
        isolation.to_string()
    }
}

impl TryFrom<String> for Isolation {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "workspace" => Ok(Self::Workspace),
            Some(("owner", account)) if !account.is_empty() => Ok(Self::Owner(account.into())),
            Some(("shared", account)) if !account.is_empty() => Ok(Self::Shared(account.into())),
            _ => Err(format!("`{text}` is no isolation of a workspace")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        for isolation in [
            Isolation::Workspace,
            Isolation::Owner("anna".into()),
            Isolation::Shared("runner".into()),
        ] {
            assert_eq!(Isolation::try_from(isolation.to_string()), Ok(isolation));
        }
        for bad in ["", "owner", "owner:", "root:root", "workspace:anna"] {
            assert!(Isolation::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
