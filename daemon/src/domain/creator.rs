//! Who asked for a workspace.

use super::Email;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who asked for a workspace. The number of workspaces per creator is limited.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Creator {
    /// The user with this user id on this machine.
    User(u32),
    /// A user of the web form, which knows only the address that was typed.
    Address(Email),
    /// cid itself, because of a push. It makes builds alone.
    Trigger,
}

/// The form in the ledger: `uid:1000`, `address:anna@example.com`.
impl fmt::Display for Creator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid:{uid}"),
            Self::Address(email) => write!(f, "address:{email}"),
            Self::Trigger => f.write_str("trigger"),
        }
    }
}

impl From<Creator> for String {
    fn from(creator: Creator) -> Self {
        creator.to_string()
    }
}

impl TryFrom<String> for Creator {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let read = match text.split_once(':') {
            Some(("uid", number)) => number.parse().ok().map(Self::User),
            Some(("address", email)) => Email::parse(email).ok().map(Self::Address),
            None if text == "trigger" => Some(Self::Trigger),
            _ => None,
        };
        read.ok_or_else(|| format!("`{text}` is no creator of a workspace"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        for creator in [
            Creator::User(1000),
            Creator::Address(Email::parse("anna@example.com").unwrap()),
            Creator::Trigger,
        ] {
            assert_eq!(Creator::try_from(creator.to_string()), Ok(creator));
        }
        for bad in ["", "uid:", "uid:-1", "address:anna", "gid:0"] {
            assert!(Creator::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
