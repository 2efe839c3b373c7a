//! Writes down what cid and the project's commands made in a workspace, before anybody works there.

use crate::{
    engine::{Cx, Step},
    system::Fault,
};
use cid_protocol::request;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Writes down what cid, the release commands and the app's start made in the workspace: a delete does
/// not take it for work.
#[derive(Serialize, Deserialize)]
pub struct RecordMade {
    /// `WORK_DIR/NAME`; taken back with it.
    pub directory: PathBuf,
}

impl Step for RecordMade {
    const KIND: &'static str = "record-made.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "write down what was made".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// Without it a delete asks more often: no reason to fail.
    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let request = request::RecordMade {
            directory: self.directory.clone(),
        };
        match cx.ask(cx.user(), request).await {
            Err(fault) if fault.cancelled => Err(fault),
            Err(fault) => {
                cx.note(format!(
                    "{fault}: a delete may ask about files that nobody made"
                ));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
