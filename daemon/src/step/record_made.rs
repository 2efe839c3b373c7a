//! Records what cid and the project's commands made in a workspace, before anybody works there.

use super::make_account::made;
use crate::engine::{Cx, Step};
use cid_protocol::{fault::Fault, request};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Records what the app's start made in the workspace in addition to what the release commands made: a
/// delete does not take it for work. Where people and processes are one user, a person may have made it.
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

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        record(&self.directory, cx).await
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// Records what exists by now. Without the record a delete asks more often, which is no reason to fail.
pub(super) async fn record(directory: &Path, cx: &Cx) -> Result<(), Fault> {
    let request = request::RecordMade {
        directory: directory.to_owned(),
        own_account: made(cx).is_some(),
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
