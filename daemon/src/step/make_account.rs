//! Makes the workspace's own Unix account.

use super::end_processes::end_all;
use crate::{
    domain::{Account, project_group},
    engine::{Cx, Step},
    system::{Fault, accounts::Accounts},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Makes the account that owns the workspace's files and runs its processes.
#[derive(Serialize, Deserialize)]
pub struct MakeAccount {
    /// Which.
    pub account: Account,
    /// Its home, which a later step makes.
    pub home: PathBuf,
}

impl Step for MakeAccount {
    const KIND: &'static str = "make-account.v1";
    type Before = ();
    /// For the steps that give things to it.
    type Output = Account;

    fn label(&self) -> String {
        "make the account".into()
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<Account, Fault> {
        let group = project_group(cx.project_name());
        accounts(cx)?
            .make(&self.account, &self.home, &group)
            .await?;
        Ok(self.account.clone())
    }

    async fn undo(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        end_all(&self.account, cx).await?;
        accounts(cx)?.remove(&self.account).await
    }
}

/// This machine's accounts.
pub(super) fn accounts(cx: &Cx) -> Result<&dyn Accounts, Fault> {
    let accounts = cx.sys().accounts.as_deref();
    accounts.ok_or_else(|| Fault::new("cannot change accounts: this is a sandbox"))
}

/// The account of this job's workspace; `None` in a sandbox.
pub(super) fn account(cx: &Cx) -> Option<Account> {
    cx.output::<MakeAccount>().ok()
}
