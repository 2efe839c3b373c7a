//! Who is signed in.

use super::{given, required, timestamp};
use crate::model::people;
use crate::{Error, Result};
use cid_proto::v1 as pb;

impl TryFrom<pb::LinkResponse> for people::Link {
    type Error = Error;

    fn try_from(from: pb::LinkResponse) -> Result<Self> {
        Ok(Self {
            url: from.url,
            code: from.code,
            expires_at: timestamp(required(from.expires_at, "a link without an end")?)?,
        })
    }
}

impl From<pb::Person> for people::Person {
    fn from(from: pb::Person) -> Self {
        Self {
            email: from.email,
            is_administrator: from.is_administrator,
            may_create_for_others: from.may_create_for_others,
        }
    }
}

impl From<pb::WhoAmIResponse> for people::Visit {
    fn from(from: pb::WhoAmIResponse) -> Self {
        Self {
            // What this client does not know asks for more, not for less.
            sign_in: match from.sign_in() {
                pb::SignIn::Open => people::SignIn::Open,
                pb::SignIn::Verified | pb::SignIn::Unspecified => people::SignIn::Verified,
            },
            person: from.person.map(people::Person::from),
            front_url: given(from.front_url),
            can_mail: from.can_mail,
        }
    }
}

impl TryFrom<pb::SignedIn> for people::SignedIn {
    type Error = Error;

    fn try_from(from: pb::SignedIn) -> Result<Self> {
        Ok(Self {
            email: from.email,
            sessions: from.sessions,
            since: timestamp(required(from.since, "a session without a time")?)?,
            used_at: timestamp(required(from.used_at, "a session without a time")?)?,
        })
    }
}
