//! Removes the workspace's own Unix account.

use super::{end_processes::remove_with_processes, make_account::accounts};
use crate::{
    domain::{Account, project_group},
    engine::{Cx, Step},
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Removes the account of a workspace that has no files and no processes any more.
#[derive(Serialize, Deserialize)]
pub struct RemoveAccount {
    /// Which.
    pub account: Account,
}

impl Step for RemoveAccount {
    const KIND: &'static str = "remove-account.v1";
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "remove the account".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    /// What its processes left elsewhere is removed as late as possible: it cannot be restored.
    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        remove_with_processes(&self.account, cx).await
    }

    async fn undo(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let group = project_group(cx.project_name());
        accounts(cx)?.make(&self.account, &group).await.map(drop)
    }
}
