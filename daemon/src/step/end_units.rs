//! Ends the units in which something of the workspace's runs.

use crate::{
    engine::{Cx, Step},
    system::Fault,
};
use serde::{Deserialize, Serialize};

/// Ends the units in which commands of the workspace run, by whomever started. Its app's processes end
/// with its control group; others of the same user are not touched.
#[derive(Serialize, Deserialize)]
pub struct EndUnits {}

impl Step for EndUnits {
    const KIND: &'static str = "end-units.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "end what is left running".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        cx.sys().helpers.end_units(cx.unit()).await
    }

    /// Commands that ended do not come back.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
