//! Lets nginx reach a stage's socket.

use super::grant_access::open_socket;
use crate::engine::{Cx, Step};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Lets nginx reach the socket of a stage's web process. Nobody else gets at a stage's files.
#[derive(Serialize, Deserialize)]
pub struct OpenSocket {
    /// `WORK_DIR/STAGE`.
    pub directory: PathBuf,
}

impl Step for OpenSocket {
    const KIND: &'static str = "open-socket.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "let nginx reach the socket".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        open_socket(&self.directory, cx).await
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
