//! Takes the workspace's sub-domain out of nginx.

use super::publish::restore;
use crate::{
    engine::{Cx, Step},
    store::Debt,
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Takes the workspace's sub-domain out of nginx.
#[derive(Serialize, Deserialize)]
pub struct Unpublish {}

impl Step for Unpublish {
    const KIND: &'static str = "unpublish.v1";
    /// The vhost that was there.
    type Before = Option<String>;
    type Output = ();

    fn label(&self) -> String {
        "take it out of nginx".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<Self::Before, Fault> {
        cx.sys().nginx.read(cx.unit())
    }

    async fn apply(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        if before.is_none() {
            cx.note("nginx had no vhost of it");
        }
        let effect = cx.sys().nginx.remove(cx.unit()).await?;
        cx.owe_effect(effect, Debt::NginxReload).await
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        restore(before, cx).await
    }
}
