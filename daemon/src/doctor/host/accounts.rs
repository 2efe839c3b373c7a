//! Accounts that the operator makes.

use super::Trouble;
use crate::{
    cid::Cid,
    config::Project,
    step::{gid_of, uid_of},
};

/// Projects whose deploy user is not named, does not exist, or is a person.
pub(super) fn deploy_users(cid: &Cid) -> Vec<Trouble> {
    let shelf = cid.projects.all();
    shelf
        .values()
        .flatten()
        .filter_map(|project| deploy_user(cid, project))
        .collect()
}

fn deploy_user(cid: &Cid, project: &Project) -> Option<Trouble> {
    let about = format!("of {}", project.name);
    let Some(user) = &project.deploy_user else {
        let trouble = Trouble::new(about, "the project file names none");
        return Some(trouble.mend("set deploy_user to the account whose keys git is to use"));
    };
    // They joined the group after the file was read: a file that names a member is refused.
    if cid.projects.is_member(user) {
        let what = format!("{user} is in the group cid, and may not use cid as a deploy user");
        let mend = format!("deluser {user} cid, or give git an account of its own");
        return Some(Trouble::new(about, what).mend(mend));
    }
    let fault = uid_of(user).err()?;
    let mend = format!(
        "adduser --disabled-password --gecos '' {user}, or mend deploy_user in the project file"
    );
    Some(Trouble::new(about, fault.message).mend(mend))
}

/// Accounts and groups of `[access]` that do not exist.
pub(super) fn people(cid: &Cid) -> Vec<Trouble> {
    let shelf = cid.projects.all();
    let of = |project: &Project| {
        let group = project.access.group.as_deref();
        let missing_group = group.and_then(|name| gid_of(name).err());
        let accounts = project.access.people.values();
        let missing = accounts.filter_map(|name| uid_of(name).err());
        let about = format!("of {}", project.name);
        missing_group
            .into_iter()
            .chain(missing)
            .map(|fault| Trouble::from_fault(about.clone(), fault))
            .collect::<Vec<_>>()
    };
    shelf
        .values()
        .flatten()
        .flat_map(|project| of(project))
        .collect()
}
