//! Gives the ports back, as soon as nginx no longer passes requests to it.

use crate::engine::{Cx, Step};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Gives the workspace's ports back.
#[derive(Serialize, Deserialize)]
pub struct ReleasePort {}

impl Step for ReleasePort {
    const KIND: &'static str = "release-port.v2";
    const HAS_FINISH: bool = true;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "release the port".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// `finish` gives it back: until then the job may still be undone.
    async fn apply(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn finish(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        if cx.is_taken_back() {
            return Ok(());
        }
        Ok(cx.store().release_port(cx.workspace(), None).await?)
    }
}
