//! Gives the developer's Unix account and the project's group access to the files.

use super::{
    Inspect,
    inspect::is_unchanged,
    make_account::made,
    make_directory::{HOME, OTHER_VENV, RUN, TREE, VENV},
};
use crate::{
    config::{Access, Limits},
    domain::{Account, Owner},
    engine::{Cx, Step},
    system::{inside::Inside, nginx::worker},
};
use cid_kernel::{accounts, fs};
use cid_protocol::{
    fault::Fault,
    request::{self, Granted},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

const ROOT: u32 = 0;

/// Gives access to the files by POSIX ACL, default entries included.
#[derive(Serialize, Deserialize)]
pub struct GrantAccess {
    /// `WORK_DIR/NAME`; taken back with it.
    pub directory: PathBuf,
    /// Whose workspace it is.
    pub owner: Owner,
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
        if is_unchanged(cx) {
            return Ok(());
        }
        open_socket(&self.directory, cx).await?;
        let access = &cx.project()?.access;
        let account = made(cx).map(|made| made.account);
        let who = Who::of(access, &self.owner)?;
        if who.uids.is_empty() && who.gids.is_empty() {
            return Ok(());
        }
        let request = who.grant(&self.directory, account.as_ref());
        list_directory(&self.directory, &request, cx);
        note_skipped(cx, cx.ask(cx.user(), request).await?);
        share_project(cx, access).await;
        Ok(())
    }

    async fn undo(&self, (): &(), _: &Cx) -> Result<(), Fault> {
        Ok(())
    }
}

/// Lets nginx's workers reach the web process's socket, and the daemon look at it: another user makes
/// it, later. In a sandbox all are one user. A port needs none of this.
pub(super) async fn open_socket(directory: &Path, cx: &Cx) -> Result<(), Fault> {
    if !cx.sys().is_host() || !cx.output::<Inspect>()?.recipe.web_on_socket {
        return Ok(());
    }
    let request = request::OpenSockets {
        folder: directory.join(RUN),
        uids: nginx_accounts(cx).await?,
    };
    cx.ask(cx.user(), request).await
}

/// Those who share a workspace's files, by number.
pub(super) struct Who {
    /// The developer.
    uids: Vec<u32>,
    /// The project's access group.
    gids: Vec<u32>,
}

impl Who {
    /// The people in the project's current file.
    pub(super) fn of(access: &Access, owner: &Owner) -> Result<Self, Fault> {
        let developer = owner.person().and_then(|email| access.people.get(email));
        let uids = developer.into_iter().map(|account| uid_of(account));
        let gids = access.group.iter().map(|group| gid_of(group));
        Ok(Self {
            uids: uids.collect::<Result<_, _>>()?,
            gids: gids.collect::<Result<_, _>>()?,
        })
    }

    /// The request that gives them access.
    pub(super) fn grant(self, directory: &Path, account: Option<&Account>) -> request::GrantAccess {
        let mut uids = self.uids;
        // The workspace's own user must read what others make in the tree.
        uids.extend(account.map(|account| account.uid));
        // A sandbox makes the environment's folder only for what is installed there.
        let venvs = [VENV, OTHER_VENV].into_iter();
        let venvs = venvs.filter(|name| Inside::new(directory, name).may_be_folder());
        let venvs = venvs.map(|name| directory.join(name));
        let always = [TREE, HOME].map(|name| directory.join(name));
        request::GrantAccess {
            roots: always.into_iter().chain(venvs).collect(),
            uids,
            gids: self.gids,
            ..request::GrantAccess::default()
        }
    }
}

/// Who of nginx's, and of the daemon, must get to what a workspace gives visitors.
pub(super) async fn nginx_accounts(cx: &Cx) -> Result<Vec<u32>, Fault> {
    let configuration = cx.sys().nginx.configuration().await?;
    let worker = worker::account(&configuration);
    Ok(vec![ROOT, number_of(worker, "mend `user` in nginx.conf")?])
}

/// Lets people list the workspace's own folder. On a host it is root's; in a sandbox all are one user.
pub(super) fn list_directory(directory: &Path, grant: &request::GrantAccess, cx: &Cx) {
    if !cx.sys().is_host() {
        return;
    }
    if let Err(fault) = fs::admit(directory, &grant.uids, &grant.gids) {
        cx.note(format!(
            "people cannot list {}: {fault}",
            directory.display()
        ));
    }
}

/// Reports what was skipped.
pub(super) fn note_skipped(cx: &Cx, granted: Granted) {
    for skipped in granted.skipped {
        cx.note(skipped.to_string());
    }
}

/// Lets people who share files read what their workspaces borrow from the project: the mirror, whose
/// objects the clones use, and the shared packages. Without it their own git finds no objects, and
/// `.venv` is unreadable. On a host only; elsewhere everything belongs to one user.
pub(super) async fn share_project(cx: &Cx, access: &Access) {
    if !cx.sys().is_host() {
        return;
    }
    // People without an account yet get access when a later workspace is made, or by `cictl access repair`.
    let people = access.people.values().filter_map(|name| uid_of(name).ok());
    let uids: Vec<u32> = people.collect::<BTreeSet<_>>().into_iter().collect();
    let groups = access.group.iter().filter_map(|name| gid_of(name).ok());
    let gids: Vec<u32> = groups.collect();
    let packages = cx.sys().layout.packages(cx.project_name());
    if let Err(fault) = fs::admit(&packages, &uids, &gids) {
        cx.note(format!("people cannot use the packages: {fault}"));
    }
    let request = read(cx.sys().layout.mirror_dir(cx.project_name()), uids, gids);
    if let Err(fault) = cx.ask(cx.git(), request).await {
        cx.note(format!("people's own git will not work there: {fault}"));
    }
}

/// The request for read access only: other workspaces use the same files.
fn read(root: PathBuf, uids: Vec<u32>, gids: Vec<u32>) -> request::GrantAccess {
    request::GrantAccess {
        roots: vec![root],
        uids,
        gids,
        reads_only: true,
        ..request::GrantAccess::default()
    }
}

/// The number of an account of the project's people.
pub(crate) fn uid_of(account: &str) -> Result<u32, Fault> {
    number_of(
        account,
        "make it, or mend [access.people] in the project file",
    )
}

fn number_of(account: &str, hint: &str) -> Result<u32, Fault> {
    accounts::uid_of(account, hint)
}

/// The number of a group.
pub(crate) fn gid_of(group: &str) -> Result<u32, Fault> {
    let advice = "make it, or mend access.group in the project file";
    accounts::gid_of(group, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_borrowed_is_for_reading_and_the_workspaces_own_for_all() {
        let borrowed = read("/mirror".into(), vec![1], vec![2]);
        assert!(borrowed.reads_only);
        assert_eq!(borrowed.roots, [Path::new("/mirror")]);
        assert_eq!((borrowed.uids, borrowed.gids), (vec![1], vec![2]));

        let who = Who {
            uids: vec![1],
            gids: vec![2],
        };
        let own = who.grant(Path::new("/w"), None);
        assert!(!own.reads_only);
        assert_eq!(own.roots, ["/w/src", "/w/home"].map(Path::new));
        assert_eq!((own.uids, own.gids), (vec![1], vec![2]));
    }
}
