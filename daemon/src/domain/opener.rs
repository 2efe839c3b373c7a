//! Whose calls, streams and commands are counted together.

use super::Email;

/// Whose calls, streams and commands are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opener {
    uid: u32,
    /// Who is signed in at the front, which has the user id.
    person: Option<Email>,
}

impl Opener {
    /// The user with this user id, or who is signed in at the front that has it.
    pub fn new(uid: u32, person: Option<&Email>) -> Self {
        Self {
            uid,
            person: person.cloned(),
        }
    }

    /// Whether it is someone at the front. Its budgets are smaller.
    pub fn is_person(&self) -> bool {
        self.person.is_some()
    }
}
