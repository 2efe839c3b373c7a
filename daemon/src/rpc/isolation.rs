//! Whose account a workspace may use.

use super::Api;
use crate::{
    config::{IsolationKind, Project},
    domain::{Account, Email, Isolation},
    error::Error,
    system::Fault,
};
use nix::unistd::User;

/// Below are the distribution's own users.
const FIRST_UID: u32 = 1000;
const NOBODY: u32 = 65_534;

impl Api {
    /// Whose account a new workspace is to use, and which that is where it is there already. Asks
    /// before anything is made.
    ///
    /// # Errors
    /// The address has no account, or its account may not be used.
    pub(super) fn isolation_of(
        &self,
        project: &Project,
        email: &Email,
    ) -> Result<(Isolation, Option<Account>), Error> {
        let name = match (project.isolation, &self.sys.accounts) {
            // A sandbox has no accounts.
            (IsolationKind::Workspace, _) | (_, None) => return Ok(Default::default()),
            (IsolationKind::Owner, _) => project.access.people.get(email).ok_or_else(|| {
                Error::Precondition {
                    message: format!(
                        "cannot make a workspace for {email}: workspaces of {} are their owners', and this address has no account",
                        project.name
                    ),
                    hint: Some(format!(
                        "write into {}, under [access.people]: \"{email}\" = \"ACCOUNT\"; then: systemctl reload cid",
                        project.file.display()
                    )),
                }
            })?,
            (IsolationKind::Shared, _) => project.run_user.as_ref().ok_or_else(|| {
                Error::Precondition {
                    message: format!("the project {} names no run_user", project.name),
                    hint: None,
                }
            })?,
        };
        let account = self
            .usable_account(name)
            .map_err(|fault| Error::Precondition {
                message: fault.message,
                hint: fault.hint,
            })?;
        let isolation = match project.isolation {
            IsolationKind::Shared => Isolation::Shared(name.clone()),
            _ => Isolation::Owner(name.clone()),
        };
        Ok((isolation, Some(account)))
    }

    /// An account that code of repositories may run as.
    ///
    /// # Errors
    /// There is none of that name, or it is one that has more rights than a person.
    pub(super) fn usable_account(&self, name: &str) -> Result<Account, Fault> {
        let refuse = |why: String| {
            Err(
                Fault::new(format!("cannot run workspaces as {name}: {why}"))
                    .hint("name another account in the project file"),
            )
        };
        let look_up = |name: &str| {
            User::from_name(name)
                .map_err(|error| Fault::new(format!("cannot look up the account {name}: {error}")))
        };
        let Some(user) = look_up(name)? else {
            return refuse("there is no such account".into());
        };
        let uid = user.uid.as_raw();
        if uid < FIRST_UID || uid == NOBODY || user.gid.as_raw() == 0 {
            return refuse(format!("user {uid} is the system's own"));
        }
        if self.settings.workspace_uids.0.contains(&uid) || name.starts_with("cidb-") {
            return refuse("it is one that cid makes and removes itself".into());
        }
        for project in self.projects.all().values().flatten() {
            let Some(deploy) = &project.deploy_user else {
                continue;
            };
            // Also by another name of the same number.
            let same = look_up(deploy)?.is_some_and(|deploy| deploy.uid == user.uid);
            if same || deploy == name {
                return refuse(format!(
                    "it is the deploy user of {}, with its keys",
                    project.name
                ));
            }
        }
        Ok(Account {
            name: name.to_owned(),
            uid,
        })
    }
}
