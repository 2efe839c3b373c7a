//! Gives the developer's Unix account and the project's group access to the files.

use super::{
    make_account::made,
    make_directory::{HOME, TREE},
};
use crate::{
    config::Limits,
    domain::Email,
    engine::{Cx, Step},
    helper::request,
    system::{Fault, FaultContext},
};
use nix::unistd::{Group, User};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Gives access to the files by POSIX ACL, default entries included.
#[derive(Serialize, Deserialize)]
pub struct GrantAccess {
    /// `WORK_DIR/NAME`; taken back with it.
    pub directory: PathBuf,
    /// Whose workspace it is.
    pub email: Email,
}

impl Step for GrantAccess {
    const KIND: &'static str = "grant-access.v1";
    const HAS_UNDO: bool = false;
    type Before = ();
    type Output = ();

    fn label(&self) -> String {
        "give access to the files".into()
    }

    fn limit(&self, limits: &Limits) -> Duration {
        *limits.clone
    }

    async fn observe(&self, _: &Cx) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, (): &(), cx: &Cx) -> Result<(), Fault> {
        let access = &cx.project()?.access;
        let developer = access.people.get(&self.email);
        let mut uids: Vec<u32> = developer
            .into_iter()
            .map(|account| uid_of(account))
            .collect::<Result<_, _>>()?;
        let gids: Vec<u32> = access
            .group
            .iter()
            .map(|group| gid_of(group))
            .collect::<Result<_, _>>()?;
        if uids.is_empty() && gids.is_empty() {
            return Ok(());
        }
        // What others make in the tree is theirs, and the workspace's own user must read it too.
        uids.extend(made(cx).map(|made| made.account.uid));
        let roots = vec![self.directory.join(TREE), self.directory.join(HOME)];
        let granted = cx
            .ask(cx.user(), request::GrantAccess { roots, uids, gids })
            .await?;
        for path in granted.skipped {
            cx.note(format!(
                "{} has more than one hard link and was left alone",
                path.display()
            ));
        }
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// The number of an account.
pub(crate) fn uid_of(account: &str) -> Result<u32, Fault> {
    let user = User::from_name(account).cannot(format!("look up the account {account}"))?;
    let user = user.ok_or_else(|| {
        Fault::new(format!("cannot find the account {account}"))
            .hint("make it, or mend [access.people] in the project file")
    })?;
    Ok(user.uid.as_raw())
}

/// The number of a group.
pub(crate) fn gid_of(group: &str) -> Result<u32, Fault> {
    let found = Group::from_name(group).cannot(format!("look up the group {group}"))?;
    let found = found.ok_or_else(|| {
        Fault::new(format!("cannot find the group {group}"))
            .hint("make it, or mend access.group in the project file")
    })?;
    Ok(found.gid.as_raw())
}
