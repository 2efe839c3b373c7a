//! Sending mail.

use super::Secret;
use serde::{Deserialize, Serialize};

/// See [`Request::SendMail`](super::Request::SendMail). Never part of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SendMail {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
    /// User and password; `None`: the server asks for none.
    pub login: Option<(String, Secret)>,
    /// The address that it comes from.
    pub from: String,
    /// The one address that gets it.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text. It may hold what signs somebody in.
    pub text: Secret,
    /// Makes the message one of its own: letters and digits.
    pub id: String,
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protection {
    /// It begins in plain text and goes on encrypted, or not at all.
    Starttls,
    /// It is encrypted from the beginning.
    Implicit,
    /// It is not.
    Plain,
}

/// What a server has said to a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailTaken {
    /// It delivers it.
    Taken,
    /// It never will, and says why: trying again is of no use.
    Refused(String),
}
