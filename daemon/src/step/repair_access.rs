//! Gives access to the files again: to the people in the project's current file, and also to files that the
//! developer made, which the workspace's user could not change.

use super::{
    grant_access::{Who, list_directory, note_skipped, share_project},
    uid_of,
};
use crate::{
    config::{Access, Limits},
    domain::{Account, Owner},
    engine::{Cx, Step},
    system::helpers::Identity,
};
use cid_kernel::accounts;
use cid_protocol::{fault::Fault, request::GrantAccess};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

const ROOT: u32 = 0;

/// Gives access to the files again, no matter which of the people who share them made them.
#[derive(Serialize, Deserialize)]
pub struct RepairAccess {
    /// `WORK_DIR/NAME`.
    pub directory: PathBuf,
    /// Whose workspace it is.
    pub owner: Owner,
    /// Its own account; `None` in a sandbox.
    pub account: Option<Account>,
}

impl Step for RepairAccess {
    const KIND: &'static str = "repair-access.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "repair the access to the files".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.clone
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let access = &cx.project()?.access;
        let who = Who::of(access, &self.owner)?;
        let mut request = who.grant(&self.directory, self.account.as_ref());
        request.owners = self.owners(access, &request);
        list_directory(&self.directory, &request, cx);
        let identity = Identity::Access(cx.unit().clone(), self.directory.clone());
        let granted = cx.ask(identity, request).await?;
        cx.note(format!(
            "{} files and folders got the access that they lacked",
            granted.changed
        ));
        note_skipped(cx, granted);
        share_project(cx, access).await;
        Ok(())
    }

    /// Giving people the access they should have needs no undo.
    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

impl RepairAccess {
    /// The users whose files count as the workspace's. The helper can change any ACL as root, so another
    /// user's file that was moved into the tree must not become the developer's. A sandbox has only one
    /// user.
    fn owners(&self, access: &Access, request: &GrantAccess) -> Vec<u32> {
        if self.account.is_none() {
            return Vec::new();
        }
        let group = access.group.as_deref();
        let group = group.and_then(|name| accounts::group(name).ok().flatten());
        let members = group.map(|group| group.mem).unwrap_or_default();
        let numbers = members.iter().filter_map(|name| uid_of(name).ok());
        let mut owners: Vec<u32> = request.uids.iter().copied().chain(numbers).collect();
        // Sharing files with root does not include root's own files.
        owners.retain(|uid| *uid != ROOT);
        owners
    }
}
