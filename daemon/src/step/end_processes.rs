//! Ends whatever still runs as the workspace's user.

use super::make_account::accounts;
use crate::{
    domain::{Account, project_group},
    engine::{Cx, Step},
};
use cid_protocol::{fault::Fault, request};
use serde::{Deserialize, Serialize};

/// Ends every process of the workspace's user, including one that cleared its environment and started its
/// own session.
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
        let ask = request::EndProcesses::default();
        end_all(&self.account, ask, cx).await
    }

    /// The preceding stop step restarts in its own undo what it stopped.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// Ends every process of an account, or removes what they left outside the workspace's folder, such as
/// shared memory. Neither can be undone. An account that is gone has nothing to end.
pub(super) async fn end_all(
    account: &Account,
    ask: request::EndProcesses,
    cx: &Cx,
) -> Result<(), Fault> {
    let accounts = accounts(cx)?;
    if !accounts.exists(account)? {
        return Ok(());
    }
    // A unit of its user's takes all of the account, and a tool that was killed may have left a part.
    accounts
        .make(account, &project_group(cx.project_name()))
        .await?;
    for left in cx.ask(cx.reaper(), ask).await?.left {
        cx.note(left);
    }
    Ok(())
}

/// Removes an account once nothing runs as it, however and wherever that was started, with what its
/// processes left outside the workspace's folder.
pub(super) async fn remove_with_processes(account: &Account, cx: &Cx) -> Result<(), Fault> {
    // Processes once more: a service may have started something since.
    let ask = request::EndProcesses {
        leave_nothing: true,
        ..request::EndProcesses::default()
    };
    end_all(account, ask, cx).await?;
    accounts(cx)?.remove(account).await
}
