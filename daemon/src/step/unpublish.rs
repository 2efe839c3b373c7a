//! Takes the workspace's own vhost out of nginx.

use super::publish::restore;
use crate::{
    engine::{Cx, Step},
    store::Debt,
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Takes the workspace's own vhost out of nginx.
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
        // An app on a socket has none of its own, and is reached until its processes stop.
        if before.is_none() {
            return Ok(());
        }
        let effect = cx.sys().nginx.remove(cx.unit()).await?;
        cx.owe_effect(effect, Debt::NginxReload).await
    }

    async fn undo(&self, before: &Self::Before, cx: &Cx) -> Result<(), Fault> {
        match before {
            Some(_) => restore(before, cx).await,
            None => Ok(()),
        }
    }
}
