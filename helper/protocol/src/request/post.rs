//! Telling other servers something over HTTP.

use super::Secret;
use serde::{Deserialize, Serialize};

/// See [`Request::Post`](super::Request::Post). Never part of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Post {
    /// Where to.
    pub url: String,
    /// Names, and values that may be secrets.
    pub headers: Vec<(String, Secret)>,
    /// JSON.
    pub body: String,
}

/// What a server has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// The status, e.g. 201.
    pub status: u16,
    /// The beginning of what it says, without the secrets of the request.
    pub said: String,
}
