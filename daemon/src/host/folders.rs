//! The folders of a host that are not the daemon's own: each belongs to whoever works in it.

use super::{PEOPLE, identities::deploy_user};
use crate::{
    config::{Project, Projects},
    domain::{TOOLS, builder, project_group},
    layout::{KEPT_MODE, Layout, kept_dir, trash_dir},
    system::{accounts::Accounts, unwritable::unwritable},
};
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use nix::unistd::{Group, User};
use std::path::Path;

/// Read by git and libgit2 as whoever works with a mirror that is the deploy user's. Programs that
/// `.git/config` names are still nobody's but the workspace's own.
const TRUSTING: &[u8] = b"[safe]\n\tdirectory = *\n";

/// Makes what a project needs before its first workspace: group, builder, folders.
///
/// # Errors
/// Accounts cannot be made, the deploy user does not exist, or a folder cannot be made.
pub(super) async fn prepare(
    project: &Project,
    layout: &Layout,
    accounts: &dyn Accounts,
) -> Result<(), Fault> {
    let name = &project.name;
    let (group, builder) = (project_group(name), builder(name));
    accounts.make_project(&group, &builder).await?;
    let gid = gid_of(&group)?;
    let deploy = uid_of(&deploy_user(project)?)?;

    for (path, uid) in [
        (layout.mirror_dir(name), deploy),
        (layout.environments(name), 0),
        (layout.builds(name), 0),
    ] {
        fs::make_dir(&path, 0o750)?;
        fs::give_to(&path, uid, gid)?;
    }
    // Last, for it alone may be where the daemon's unit may not write.
    let work_dir = Projects::work_dir(project, &layout.work_root);
    make_work_dir(&work_dir)
        .and_then(|()| fs::make_dir(&trash_dir(&work_dir.join("any")), 0o700))
        .and_then(|()| fs::make_dir(&kept_dir(&work_dir), KEPT_MODE))
        .map_err(|fault| unwritable(&work_dir).unwrap_or(fault))
}

/// People who use cid list the names of its workspaces, others pass through. One that is there stays as its
/// operator made it.
fn make_work_dir(work_dir: &Path) -> Result<(), Fault> {
    if fs::exists(work_dir) {
        return Ok(());
    }
    fs::make_dir(work_dir, 0o751)?;
    fs::give_to(work_dir, 0, gid_of(PEOPLE)?)
}

/// Only the account that installs what builds run may change it.
///
/// # Errors
/// The package's account is missing, or the folder cannot be given to it.
pub(super) fn tools(layout: &Layout) -> Result<(), Fault> {
    let dir = layout.tools_dir();
    fs::make_dir(&dir, 0o755)?;
    fs::give_to(&dir, uid_of(TOOLS)?, gid_of(TOOLS)?)
}

/// The HOME of helpers that run a repository's code: nobody can write it.
///
/// # Errors
/// It cannot be written.
pub(super) fn trusting_home(home: &Path) -> Result<(), Fault> {
    fs::make_dir(home, 0o755)?;
    fs::write_atomic(&home.join(".gitconfig"), TRUSTING, 0o644)
}

fn uid_of(account: &str) -> Result<u32, Fault> {
    match User::from_name(account) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        _ => Err(Fault::new(format!("cannot find the account {account}"))
            .hint("make it, or mend deploy_user in the project file")),
    }
}

fn gid_of(group: &str) -> Result<u32, Fault> {
    match Group::from_name(group) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => Err(Fault::new(format!("cannot find the group {group}"))),
    }
}
