//! Makes the workspace's own Unix account.

use super::end_processes::remove_with_processes;
use crate::{
    domain::{Account, project_group},
    engine::{Cx, Step},
    system::accounts::Accounts,
};
use cid_protocol::fault::Fault;
use serde::{Deserialize, Serialize};

/// Makes the account that owns the workspace's files and runs its processes.
#[derive(Serialize, Deserialize)]
pub struct MakeAccount {
    /// Which.
    pub account: Account,
}

/// The account as it is now, for the steps that give things to it.
#[derive(Serialize, Deserialize)]
pub struct Made {
    pub(super) account: Account,
    /// Number of the project's group, which it is in.
    pub(super) group: u32,
}

impl Step for MakeAccount {
    const KIND: &'static str = "make-account.v1";
    /// Whether an account of that name existed: then it belongs to somebody else and stays.
    type Before = bool;
    type Output = Made;

    fn label(&self) -> String {
        "make the account".into()
    }

    async fn observe(&self, cx: &Cx) -> Result<bool, Fault> {
        accounts(cx)?.exists(&self.account)
    }

    async fn apply(&self, existed: &bool, cx: &Cx) -> Result<Made, Fault> {
        if *existed {
            cx.idle();
        }
        let group = project_group(cx.project_name());
        let group = accounts(cx)?.make(&self.account, &group).await?;
        // The workspace's helper starts while the git server is being asked.
        cx.sys().helpers.prepare(cx.job(), cx.user()).await;
        Ok(Made {
            account: self.account.clone(),
            group,
        })
    }

    async fn undo(&self, existed: &bool, cx: &Cx) -> Result<(), Fault> {
        if *existed {
            return Ok(());
        }
        remove_with_processes(&self.account, cx).await
    }
}

/// This machine's accounts.
pub(super) fn accounts(cx: &Cx) -> Result<&dyn Accounts, Fault> {
    let accounts = cx.sys().accounts();
    accounts.ok_or_else(|| Fault::new("cannot change accounts: this is a sandbox"))
}

/// The account of this job's workspace; `None` in a sandbox.
pub(super) fn made(cx: &Cx) -> Option<Made> {
    cx.output::<MakeAccount>().ok()
}
