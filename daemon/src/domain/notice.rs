//! What others are told of builds and deployments.

use super::Email;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A message to one place outside. It holds no secret: that of the place is read when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// A status beside a commit, at the project's forge.
    Status(CommitStatus),
    /// A document for the project's webhook.
    Webhook {
        /// The same at each attempt.
        id: String,
        /// JSON.
        body: String,
    },
    /// A mail.
    Mail {
        /// The one address that gets it.
        to: Email,
        /// One line.
        subject: String,
        /// Plain text.
        text: String,
    },
}

/// A status beside a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatus {
    /// 40 hex digits.
    pub commit: String,
    /// The branch, tag or commit that was named.
    pub reference: String,
    /// What it is about, such as `cid/build`. A newer status about the same takes its place.
    pub context: String,
    /// What came of it.
    pub state: StatusState,
    /// In a sentence.
    pub description: String,
    /// Where to read more; empty: nowhere.
    pub link: String,
}

/// What a status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// It is on its way.
    Pending,
    /// It went well.
    Success,
    /// It is not good enough: tests failed, or what was deployed does not answer.
    Failure,
    /// It could not be done.
    Error,
    /// It is not wanted any more.
    Cancelled,
}

/// Where a notice goes. Those of one project to one place go one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Channel {
    /// To the forge.
    Status,
    /// To the webhook.
    Webhook,
    /// To this address: a full mailbox holds up nobody else's mail.
    Mail(Email),
}

const TO: &str = "mail to ";

impl TryFrom<String> for Channel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "status" => Ok(Self::Status),
            "webhook" => Ok(Self::Webhook),
            other => {
                let address = other.strip_prefix(TO).map(Email::parse);
                let address = address.and_then(Result::ok);
                address
                    .map(Self::Mail)
                    .ok_or_else(|| format!("{other:?} is no channel"))
            }
        }
    }
}

impl From<Channel> for String {
    fn from(channel: Channel) -> Self {
        channel.to_string()
    }
}

impl Notice {
    /// Where it goes.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Status(_) => Channel::Status,
            Self::Webhook { .. } => Channel::Webhook,
            Self::Mail { to, .. } => Channel::Mail(to.clone()),
        }
    }

    /// Names what it is about, where a newer one takes its place.
    pub fn about(&self) -> Option<String> {
        match self {
            Self::Status(status) => Some(format!("{} {}", status.commit, status.context)),
            Self::Webhook { .. } | Self::Mail { .. } => None,
        }
    }
}

/// The key in `[notify]`, and which address.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Webhook => f.write_str("webhook"),
            Self::Mail(to) => write!(f, "{TO}{to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_read_back() {
        let anna = Email::parse("anna@example.com").unwrap();
        for channel in [Channel::Status, Channel::Webhook, Channel::Mail(anna)] {
            let text = String::from(channel.clone());
            assert_eq!(Channel::try_from(text), Ok(channel));
        }
        assert!(Channel::try_from("mail to x".to_owned()).is_err());
    }
}
