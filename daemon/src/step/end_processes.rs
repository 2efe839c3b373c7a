//! Ends whatever still runs as the workspace's user.

use crate::{
    domain::Account,
    engine::{Cx, Step},
    helper::request,
    system::Fault,
};
use nix::unistd::User;
use serde::{Deserialize, Serialize};

/// Ends every process of the workspace's user: also one that threw its environment away and began a
/// session of its own.
#[derive(Serialize, Deserialize)]
pub struct EndProcesses {
    /// Whose.
    pub account: Account,
}

impl Step for EndProcesses {
    const KIND: &'static str = "end-processes.v1";
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
        end_all(&self.account, cx).await
    }

    /// What the stop before it stopped is started again by that step's undo.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// Ends every process of an account; one that is gone has none.
pub(super) async fn end_all(account: &Account, cx: &Cx) -> Result<(), Fault> {
    let there = User::from_name(&account.name)
        .map_err(|error| Fault::new(format!("cannot look up {}: {error}", account.name)))?;
    if there.is_none() {
        return Ok(());
    }
    cx.ask(cx.reaper(), request::EndProcesses {})
        .await
        .map(drop)
}
