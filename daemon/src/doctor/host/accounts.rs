//! Accounts that the operator makes.

use super::Trouble;
use crate::{
    config::Project,
    rpc::Api,
    step::{gid_of, uid_of},
};

/// Projects whose deploy user is not named or does not exist.
pub(super) fn deploy_users(api: &Api) -> Vec<Trouble> {
    let shelf = api.projects.all();
    shelf
        .values()
        .flatten()
        .filter_map(|project| deploy_user(project))
        .collect()
}

fn deploy_user(project: &Project) -> Option<Trouble> {
    let about = format!("of {}", project.name);
    let Some(user) = &project.deploy_user else {
        let trouble = Trouble::new(about, "the project file names none");
        return Some(trouble.mend("set deploy_user to the account whose keys git is to use"));
    };
    let fault = uid_of(user).err()?;
    let mend = format!(
        "adduser --disabled-password --gecos '' {user}, or mend deploy_user in the project file"
    );
    Some(Trouble::new(about, fault.message).mend(mend))
}

/// Accounts and groups of `[access]` that do not exist.
pub(super) fn people(api: &Api) -> Vec<Trouble> {
    let shelf = api.projects.all();
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
