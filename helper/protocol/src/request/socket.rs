//! Requests about the sockets of a workspace's web processes.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// See [`super::Request::AnswerBy`]. The reply says whether the instance has a socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AnswerBy {
    /// The folder of the workspace's sockets.
    pub folder: PathBuf,
    /// The instance's number.
    pub instance: u32,
}

/// See [`super::Request::RemoveSocket`]. A missing one is no error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemoveSocket {
    /// The folder of the workspace's sockets.
    pub folder: PathBuf,
    /// The instance's number.
    pub instance: u32,
}
