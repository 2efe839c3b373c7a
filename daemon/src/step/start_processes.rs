//! Has supervisord run the workspace's processes.

use super::load_program::program;
use crate::{
    engine::{Cx, Step},
    system::Fault,
};
use serde::{Deserialize, Serialize};

/// Has supervisord run the workspace's processes.
#[derive(Serialize, Deserialize)]
pub struct StartProcesses {}

impl Step for StartProcesses {
    const KIND: &'static str = "start-processes.v1";
    /// The step that loads the program file takes the processes back with it.
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "start the processes".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        cx.sys().supervisor.put(cx.unit(), &program(cx)?).await
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
