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

/// Where a notice goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// To the forge.
    Status,
    /// To the webhook.
    Webhook,
    /// To the mail server.
    Mail,
}

impl Notice {
    /// Where it goes.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Status(_) => Channel::Status,
            Self::Webhook { .. } => Channel::Webhook,
            Self::Mail { .. } => Channel::Mail,
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

/// As the key in `[notify]`.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "status",
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        })
    }
}
