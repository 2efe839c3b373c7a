//! Accounts of workspaces that are in no ledger, as after one was put back from a backup. Their numbers would
//! be given again, and what belongs to them with it.

use super::Finding;
use crate::{
    rpc::Api,
    store::StoreError,
    system::{
        accounts::{self, Found},
        procs,
    },
};
use std::{collections::BTreeSet, path::Path};

/// Names accounts that belong to no workspace, and with `repair` removes those that are surely cid's and that
/// nothing is left of.
///
/// # Errors
/// The ledger's.
pub(super) async fn strays(
    api: &Api,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let Some(accounts) = &api.sys.accounts else {
        return Ok(());
    };
    let uids = &api.settings.workspace_uids.0;
    // Before the ledger, where a number is noted before its account is made; and after it, for what has gone
    // meanwhile.
    let before = accounts::workspaces(uids);
    let known = known(api).await?;
    let found = before.and_then(|before| {
        let mut found = accounts::workspaces(uids)?;
        found.retain(|found| before.contains(found) && !known.contains(&found.number));
        Ok(found)
    });
    let found = found.unwrap_or_else(|fault| {
        findings.push(Finding::note("accounts", fault.to_string()));
        Vec::new()
    });
    for found in found {
        let subject = format!("account {}", found.account.name);
        match in_the_way(&found) {
            Some((message, mend)) => findings.push(Finding::drift(subject, message, mend)),
            None => {
                let finding = Finding::drift(
                    subject,
                    "no workspace has it",
                    "cictl doctor --repair removes it",
                );
                findings.push(match repair {
                    true => finding.repaired_if(accounts.remove(&found.account).await),
                    false => finding,
                });
            }
        }
    }
    Ok(())
}

/// Numbers that are workspaces', or a live job's.
async fn known(api: &Api) -> Result<BTreeSet<i64>, StoreError> {
    let jobs = api.store.live_jobs().await?;
    let workspaces = api.store.workspaces(None, 0, usize::MAX >> 1).await?;
    let jobs = jobs.iter().map(|job| job.workspace);
    let workspaces = workspaces.iter().map(|workspace| workspace.id);
    Ok(jobs.chain(workspaces).collect())
}

/// Why cid leaves it alone, and what to do.
fn in_the_way(found: &Found) -> Option<(String, String)> {
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
    let folder = folder(&found.home);
    folder.is_some_and(Path::exists).then(|| {
        let shown = folder.unwrap_or(&found.home).display();
        let message = format!("no workspace has it, and its folder {shown} is there");
        (message, format!("move {shown} away; {THEN}"))
    })
}

/// The workspace's folder, by its account's home; `None`: that was never in one.
fn folder(home: &Path) -> Option<&Path> {
    home.parent().filter(|_| home.ends_with("home"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Account;
    use std::path::PathBuf;

    #[test]
    fn an_account_goes_when_nothing_is_left_of_it() {
        let dir = tempfile::tempdir().unwrap();
        // Nobody has so high a number.
        let found = |uid: u32, is_cids: bool, home: PathBuf| Found {
            number: 3,
            account: Account {
                name: "cidw-3".into(),
                uid,
            },
            is_cids,
            home,
        };
        let gone = dir.path().join("gone/home");
        let unused = 4_000_000_123;
        assert_eq!(in_the_way(&found(unused, true, gone.clone())), None);
        assert_eq!(
            in_the_way(&found(unused, true, "/nonexistent".into())),
            None
        );
        let told = |found| in_the_way(&found).unwrap();
        let (message, _) = told(found(unused, false, gone.clone()));
        assert!(message.contains("not as cid makes them"), "{message}");
        let (message, mend) = told(found(nix::unistd::geteuid().as_raw(), true, gone));
        assert!(message.contains("processes run as it") && mend.contains("pkill -KILL -u cidw-3;"));
        let (message, mend) = told(found(unused, true, dir.path().join("home")));
        assert!(
            message.contains("its folder") && mend.starts_with("move "),
            "{message}"
        );
    }
}
