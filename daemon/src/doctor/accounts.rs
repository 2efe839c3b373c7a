//! Accounts that cid made: checks that they are complete and closed to login, and finds those of workspaces that are
//! missing from the ledger, e.g. after it was restored from a backup. The next account would get such a number,
//! and with it the files that still have it.

use super::{Finding, outsiders::outsiders};
use crate::{
    cid::Cid,
    config::Projects,
    domain::{TOOLS, project_accounts, project_group},
    store::StoreError,
    system::{
        accounts::{self, Accounts, Found, Tables, Wanted},
        inside::Inside,
        procs,
    },
};
use cid_kernel::fs;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// The front's account.
const FRONT: &str = "cid-web";
const MEND: &str = "cictl doctor --repair mends it";

/// Completes and closes the accounts that should exist, ends what runs as them outside of cid, and removes what
/// killed tools left. Called when the daemon starts. Logs what cannot be mended.
///
/// # Errors
/// The ledger fails.
pub async fn mend_accounts(cid: &Cid) -> Result<(), StoreError> {
    let Some(tools) = cid.sys.accounts() else {
        return Ok(());
    };
    let mut findings = Vec::new();
    leftovers(tools, true, &mut findings).await;
    wrong(cid, tools, true, &mut findings).await?;
    outsiders(cid, true, &mut findings).await?;
    for Finding {
        subject,
        message,
        repaired,
        ..
    } in findings
    {
        match repaired {
            true => tracing::info!("{subject}: {message}; mended"),
            false => tracing::warn!("{subject}: {message}"),
        }
    }
    Ok(())
}

/// Reports what is wrong with cid's accounts, and with `repair` mends it.
///
/// # Errors
/// The ledger fails.
pub(super) async fn accounts(
    cid: &Cid,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let Some(tools) = cid.sys.accounts() else {
        return Ok(());
    };
    leftovers(tools, repair, findings).await;
    wrong(cid, tools, repair, findings).await?;
    // After the accounts are closed: nothing more can begin.
    outsiders(cid, repair, findings).await?;
    strays(cid, tools, repair, findings).await
}

/// Files next to the account tables.
async fn leftovers(tools: &dyn Accounts, repair: bool, findings: &mut Vec<Finding>) {
    let found = match tools.leftovers(repair).await {
        Ok(found) => found,
        Err(fault) => return findings.push(Finding::note("accounts", fault.to_string())),
    };
    findings.extend(found.into_iter().map(|path| {
        let finding = Finding::drift(
            format!("file {}", path.display()),
            "a tool that was killed has left it, and it may keep others from changing accounts",
            "cictl doctor --repair removes it",
        );
        match repair {
            true => finding.repaired_if(Ok(())),
            false => finding,
        }
    }));
}

/// Accounts that are in a wrong state.
async fn wrong(
    cid: &Cid,
    tools: &dyn Accounts,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let all = wanted(cid).await?;
    let tables = match Tables::read() {
        Ok(tables) => tables,
        Err(fault) => {
            findings.push(Finding::note("accounts", fault.to_string()));
            return Ok(());
        }
    };
    let mut lacking: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in &all {
        let lacks = one.lacking(&tables);
        if !lacks.is_empty() {
            lacking.insert(one.name(), lacks);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    // Once more, to drop what has gone meanwhile, and in case a tool was at work.
    let still = wanted(cid).await?;
    let tables = Tables::read().unwrap_or(tables);
    for one in still {
        let lacks = one.lacking(&tables);
        if lacks.is_empty() || !lacking.contains_key(one.name()) {
            continue;
        }
        let finding = Finding::drift(format!("account {}", one.name()), lacks.join(", "), MEND);
        findings.push(match repair {
            true => finding.repaired_if(tools.complete(&one).await),
            false => finding,
        });
    }
    Ok(())
}

/// The accounts that should exist, except those that a job is making or removing.
async fn wanted(cid: &Cid) -> Result<Vec<Wanted>, StoreError> {
    let range = cid.account_range();
    let mut wanted = vec![Wanted::package(TOOLS), Wanted::package(FRONT)];
    for project in cid.projects.all().values().flatten() {
        // A project that cannot be prepared reports that itself.
        if cid.projects.unprepared(&project.name).is_none() {
            let name = &project.name;
            let group = project_group(name);
            let own = project_accounts(name).into_iter();
            wanted.extend(own.map(|account| Wanted::of_project(account, group.clone())));
        }
    }
    let workspaces = cid.store.workspaces(None, 0, usize::MAX >> 1).await?;
    let ready = workspaces
        .iter()
        .filter(|workspace| workspace.state.is_whole());
    wanted.extend(ready.filter_map(|workspace| {
        let group = project_group(&workspace.project);
        Some(Wanted::workspace(&range.of(workspace)?, Some(group)))
    }));
    Ok(wanted)
}

/// Accounts that belong to no workspace. With `repair` it removes those that certainly are cid's and have left
/// nothing behind.
async fn strays(
    cid: &Cid,
    tools: &dyn Accounts,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let uids = &cid.settings.workspace_uids.0;
    // Before the ledger is read, because a number is recorded there before its account is made; and once more after
    // it, to drop what has gone meanwhile.
    let before = Tables::read().map(|tables| accounts::workspaces(&tables, uids));
    let known = known(cid).await?;
    let found = before.and_then(|before| {
        let mut found = accounts::workspaces(&Tables::read()?, uids);
        found.retain(|found| before.contains(found) && !known.contains(&found.number));
        Ok(found)
    });
    let found = found.unwrap_or_else(|fault| {
        findings.push(Finding::note("accounts", fault.to_string()));
        Vec::new()
    });
    for found in found {
        let subject = format!("account {}", found.account.name);
        match in_the_way(&found, || folder_of(cid, found.account.uid)) {
            Some((message, mend)) => findings.push(Finding::drift(subject, message, mend)),
            None => {
                let finding = Finding::drift(
                    subject,
                    "no workspace has it",
                    "cictl doctor --repair removes it",
                );
                findings.push(match repair {
                    true => finding.repaired_if(tools.remove(&found.account).await),
                    false => finding,
                });
            }
        }
    }
    Ok(())
}

/// Numbers that belong to workspaces or to a live job.
pub(super) async fn known(cid: &Cid) -> Result<BTreeSet<i64>, StoreError> {
    let jobs = cid.store.live_jobs().await?;
    let workspaces = cid.store.workspaces(None, 0, usize::MAX >> 1).await?;
    let jobs = jobs.iter().map(|job| job.about.workspace());
    let workspaces = workspaces.iter().map(|workspace| workspace.id);
    Ok(jobs.chain(workspaces).collect())
}

/// Why cid leaves it alone, and what to do.
fn in_the_way(found: &Found, folder: impl FnOnce() -> Option<PathBuf>) -> Option<(String, String)> {
    const THEN: &str = "then: cictl doctor --repair";
    let (name, uid) = (&found.account.name, found.account.uid);
    if !found.is_cids {
        let message =
            format!("no workspace has it, and it is not as cid makes them (its number is {uid})");
        let mend = "look whose it is, and give it another name: cid's accounts are called cidw-N";
        return Some((message, mend.into()));
    }
    let all = procs::all().into_iter().map(|stat| stat.id.pid);
    let running = all.filter(|pid| procs::user(*pid) == Some(uid)).count();
    if running > 0 {
        let message = format!("no workspace has it, and {running} processes run as it");
        return Some((message, format!("end them: pkill -KILL -u {name}; {THEN}")));
    }
    let folder = folder()?;
    let shown = folder.display();
    let message = format!("no workspace has it, and its folder {shown} is there");
    Some((message, format!("move {shown} away; {THEN}")))
}

/// The folder of a workspace whose files belong to this user.
fn folder_of(cid: &Cid, uid: u32) -> Option<PathBuf> {
    let of_projects = cid.projects.all();
    let of_projects = of_projects.values().flatten();
    let named = of_projects.map(|project| Projects::work_dir(project, &cid.layout.work_root));
    let root = &cid.layout.work_root;
    let there = fs::names(root).unwrap_or_default();
    // Also those of projects whose files are gone.
    let there = there.into_iter().map(|name| root.join(name));
    let dirs: BTreeSet<PathBuf> = named.chain(there).collect();
    let in_dir = |dir: PathBuf| {
        let names = fs::names(&dir).unwrap_or_default();
        names.into_iter().map(move |name| dir.join(name))
    };
    let is_own = |folder: &PathBuf| {
        let names = fs::names(folder).unwrap_or_default();
        let owners = names.iter().map(|name| Inside::new(folder, name).owner());
        owners.flatten().any(|owner| owner == uid)
    };
    dirs.into_iter().flat_map(in_dir).find(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Account;

    #[test]
    fn an_account_goes_when_nothing_is_left_of_it() {
        // No account has so high a number.
        let found = |uid: u32, is_cids: bool| Found {
            number: 3,
            account: Account {
                name: "cidw-3".into(),
                uid,
            },
            is_cids,
        };
        let unused = 4_000_000_123;
        assert_eq!(in_the_way(&found(unused, true), || None), None);
        let told =
            |found, folder: Option<&str>| in_the_way(&found, || folder.map(PathBuf::from)).unwrap();
        let (message, _) = told(found(unused, false), None);
        assert!(message.contains("not as cid makes them"), "{message}");
        let (message, mend) = told(found(nix::unistd::geteuid().as_raw(), true), None);
        assert!(message.contains("processes run as it") && mend.contains("pkill -KILL -u cidw-3;"));
        let (message, mend) = told(found(unused, true), Some("/srv/cid/shop/anna"));
        assert!(
            message.contains("its folder") && mend.starts_with("move /srv/cid/shop/anna away"),
            "{message}"
        );
    }
}
