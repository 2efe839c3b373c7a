//! Deploy users may not use cid, so no deploy user may be a person who does.

use super::{Project, Shelf};
use crate::domain::{ProjectName, RightsByProject, account::TOOLS};
use std::{collections::BTreeMap, sync::Arc};

/// Refuses files that make one account both. `before` are the previous rights: of two files, the one that
/// changed is wrong.
pub(super) fn refuse_people(
    shelf: &mut Shelf,
    before: &RightsByProject,
    is_member: fn(&str) -> bool,
) {
    let projects: Vec<Arc<Project>> = shelf.values().flatten().cloned().collect();
    let mut people = people(&projects, before);
    for project in &projects {
        let Some(user) = project.deploy_user.as_deref() else {
            continue;
        };
        let was_deploy_user = before
            .get(&project.name)
            .is_some_and(|rights| rights.deploy_user.as_deref() == Some(user));
        // Its own file first: that is the nearest.
        people.sort_by_key(|(name, _)| *name != project.name);
        let other = people.iter().find(|(_, accounts)| accounts.contains(&user));
        let why = match (is_member(user), other) {
            _ if is_own(user) => {
                let why = format!("{user} is an account of the machine or of cid; {MEND}");
                let error = project.error_at("deploy_user", why);
                shelf.insert(project.name.to_string(), Err(error));
                continue;
            }
            (true, _) => format!("{user} is in the group cid"),
            (false, None) => continue,
            (false, Some((other, _))) => {
                let was_person = before
                    .get(other)
                    .is_some_and(|rights| rights.people.values().any(|name| name == user));
                let newer = projects.iter().find(|newer| newer.name == *other);
                let newer = newer.filter(|newer| newer.name != project.name);
                if let Some(newer) = newer.filter(|_| was_deploy_user && !was_person) {
                    let name = &project.name;
                    let why = format!("{user} is the deploy user of the project {name}, {RULE}");
                    let error = newer.error_at("access.people", why);
                    shelf.insert(newer.name.to_string(), Err(error));
                    continue;
                }
                format!("{user} is in [access.people] of the project {other}")
            }
        };
        let why = format!("{why}, {RULE}; {MEND}");
        let error = project.error_at("deploy_user", why);
        shelf.insert(project.name.to_string(), Err(error));
    }
}

const RULE: &str = "and deploy users may not use cid";
const MEND: &str = "make an account for git alone";

/// Accounts under which other things run than git: one of a workspace would own the project's mirror.
fn is_own(user: &str) -> bool {
    let is_named = ["root", TOOLS, "cid-web"].contains(&user);
    is_named || user.starts_with("cidw-") || user.starts_with("cidb-")
}

/// The accounts of people by project: those of the files, and of projects whose file is bad or gone what the
/// last good one gave.
fn people<'a>(
    projects: &'a [Arc<Project>],
    before: &'a RightsByProject,
) -> Vec<(ProjectName, Vec<&'a str>)> {
    let mut all: BTreeMap<&ProjectName, _> = before
        .iter()
        .map(|(name, rights)| (name, &rights.people))
        .collect();
    let read = projects.iter();
    all.extend(read.map(|project| (&project.name, &project.access.people)));
    let accounts = all.into_iter().map(|(name, people)| {
        let accounts = people.values().map(String::as_str).collect();
        (name.clone(), accounts)
    });
    accounts.collect()
}
