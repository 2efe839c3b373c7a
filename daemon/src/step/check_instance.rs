//! Waits until the next instance's web process answers, before visitors get it.

use super::{CheckHealth, Inspect, inspect::is_unchanged};
use crate::{
    config::Limits,
    engine::{Cx, Step},
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Waits until the next instance answers at its own address.
#[derive(Serialize, Deserialize)]
pub struct CheckInstance(pub CheckHealth);

impl Step for CheckInstance {
    const KIND: &'static str = "check-instance.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "wait for the new processes".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        self.0.limit(limits)
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let found = cx.output::<Inspect>()?;
        match is_unchanged(cx) || !found.recipe.has_web() {
            true => Ok(()),
            false => self.0.apply(&(), cx).await,
        }
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
