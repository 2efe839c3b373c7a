//! The folders of a host that are not the daemon's own: each belongs to the user who works in it.

use super::{PEOPLE, identities::deploy_user};
use crate::{
    config::{Project, Projects},
    domain::{TOOLS, project_accounts, project_group},
    layout::{KEPT_MODE, Layout, kept_dir, trash_dir},
    system::{accounts::Accounts, unwritable::unwritable},
};
use cid_kernel::{
    accounts::{gid_of, uid_of},
    fs,
};
use cid_protocol::fault::Fault;
use std::path::Path;

/// Read by git and libgit2 when another user works with a mirror that is the deploy user's. Programs that
/// `.git/config` names still run as the workspace's own user only.
const TRUSTING: &[u8] = b"[safe]\n\tdirectory = *\n";

/// Makes what a project needs before its first workspace: group, accounts, folders.
///
/// # Errors
/// Accounts cannot be made, the deploy user does not exist, or a folder cannot be made.
pub(super) async fn prepare(
    project: &Project,
    layout: &Layout,
    accounts: &dyn Accounts,
) -> Result<(), Fault> {
    let name = &project.name;
    let group = project_group(name);
    accounts
        .make_project(&group, &project_accounts(name))
        .await?;
    let gid = gid_of(&group, "systemctl reload cid makes it")?;
    let advice = "make it, or mend deploy_user in the project file";
    let deploy = uid_of(&deploy_user(project)?, advice)?;

    for (path, uid) in [
        (layout.mirror_dir(name), deploy),
        (layout.packages(name), 0),
        (layout.builds(name), 0),
        (layout.templates(name), 0),
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
    let advice = "systemd-sysusers makes it, as the package's installation does";
    fs::give_to(work_dir, 0, gid_of(PEOPLE, advice)?)
}

/// Only the account that installs what builds run may change it.
///
/// # Errors
/// The package's account is missing, or the folder cannot be given to it.
pub(super) fn tools(layout: &Layout) -> Result<(), Fault> {
    let dir = layout.tools_dir();
    fs::make_dir(&dir, 0o755)?;
    let advice = "systemd-sysusers makes it, as the package's installation does";
    fs::give_to(&dir, uid_of(TOOLS, advice)?, gid_of(TOOLS, advice)?)
}

/// The HOME of helpers that run a repository's code: nobody can write it.
///
/// # Errors
/// It cannot be written.
pub(super) fn trusting_home(home: &Path) -> Result<(), Fault> {
    fs::make_dir(home, 0o755)?;
    fs::write_atomic(&home.join(".gitconfig"), TRUSTING, 0o644)
}
