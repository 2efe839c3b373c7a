//! Takes an account that is there and stays: the developer's, or one that workspaces share.

use super::make_account::{Made, accounts};
use crate::{
    domain::{Account, project_group},
    engine::{Cx, Step},
    system::Fault,
};
use serde::{Deserialize, Serialize};

/// Takes an account that is there and stays. Others' files and processes are its too, so nothing is
/// ever done to all that it has.
#[derive(Serialize, Deserialize)]
pub struct UseAccount {
    /// Which, with the number it had when that was decided.
    pub account: Account,
}

impl Step for UseAccount {
    const KIND: &'static str = "use-account.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = Made;

    fn label(&self) -> String {
        format!("use the account {}", self.account.name)
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<Made, Fault> {
        let group = project_group(cx.project_name());
        let (primary, group) = accounts(cx)?.lookup(&self.account, &group)?;
        Ok(Made {
            account: self.account.clone(),
            group,
            borrowed: Some(primary),
        })
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}
