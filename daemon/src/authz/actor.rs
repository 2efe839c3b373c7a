//! On whose behalf something is done.

use super::{Call, Door};
use crate::domain::{Creator, Email, ProjectName};
use std::fmt;

/// On whose behalf something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A local user, by the kernel's word.
    User(u32),
    /// A visitor of the front, which has this user id. Nobody knows who they are.
    Visitor(u32),
    /// Someone who is signed in at the front, which has this user id, by their proved address.
    Person(u32, Email),
    /// cid itself, which has this user id, because a remote has something new of this project.
    Trigger(u32, ProjectName),
}

impl Actor {
    /// The caller of an RPC.
    pub fn of(call: &Call) -> Self {
        let uid = call.caller.uid;
        match (call.caller.door, &call.guest.person) {
            (Door::People, _) => Self::User(uid),
            (Door::Front, None) => Self::Visitor(uid),
            (Door::Front, Some(person)) => Self::Person(uid, person.email.clone()),
        }
    }

    /// Who is signed in at the front.
    pub fn person(&self) -> Option<&Email> {
        match self {
            Self::Person(_, email) => Some(email),
            Self::User(_) | Self::Visitor(_) | Self::Trigger(..) => None,
        }
    }

    /// The user id whose process asks.
    pub fn uid(&self) -> u32 {
        match self {
            Self::User(uid) | Self::Visitor(uid) | Self::Person(uid, _) | Self::Trigger(uid, _) => {
                *uid
            }
        }
    }

    /// The creator of a workspace that this actor makes for this address. Of a visitor, only the address is
    /// known.
    pub fn creator(&self, email: &Email) -> Creator {
        match self {
            Self::User(uid) => Creator::User(*uid),
            Self::Person(_, own) => Creator::Address(own.clone()),
            Self::Visitor(_) | Self::Trigger(..) => Creator::Address(email.clone()),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) | Self::Visitor(uid) => write!(f, "uid {uid}"),
            Self::Person(_, email) => write!(f, "{email}"),
            Self::Trigger(_, project) => write!(f, "the trigger of {project}"),
        }
    }
}
