//! Finds what removed accounts left outside of their workspaces' folders. A delete removes it, unless another
//! account is in the way.

use super::Finding;
use crate::{cid::Cid, domain::Account, store::StoreError, system::inside::Inside};
use cid_kernel::{fs, sysvipc};
use std::{collections::BTreeSet, path::Path};

/// Folders that everybody may write to and the daemon can see.
const FOLDERS: [&str; 2] = ["/dev/shm", "/dev/mqueue"];

/// Reports it.
///
/// # Errors
/// The ledger fails.
pub(super) async fn left(cid: &Cid, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    if !cid.sys.is_host() {
        return Ok(());
    }
    // Before the ledger is read, because a number is recorded there before its account is made; and once more after
    // it, to drop what has gone meanwhile.
    let folders = FOLDERS.map(Path::new);
    let mut found = owned(&folders);
    let uids = &cid.settings.workspace_uids.0;
    let known = super::accounts::known(cid).await?.into_iter();
    let known: BTreeSet<u32> = known
        .filter_map(|number| Some(Account::of(number, uids)?.uid))
        .collect();
    let still = owned(&folders);
    found.retain(|one| still.contains(one));
    for (owners, subject, mend) in found {
        let is_gone = |uid: &u32| uids.contains(uid) && !known.contains(uid);
        if let Some(uid) = owners.iter().find(|uid| is_gone(uid)) {
            let message =
                format!("its owner was a workspace's account, number {uid}, which is gone");
            findings.push(Finding::drift(subject, message, mend));
        }
    }
    Ok(())
}

/// The owners of each thing, its name, and the command that removes it.
fn owned(folders: &[&Path]) -> Vec<(Vec<u32>, String, String)> {
    let mut found = Vec::new();
    for folder in folders {
        for name in fs::names(folder).unwrap_or_default() {
            if let Some(uid) = Inside::new(folder, &name).owner() {
                let path = folder.join(name).display().to_string();
                let subject = format!("file {path}");
                found.push((vec![uid], subject, format!("rm -r {path}")));
            }
        }
    }
    for object in sysvipc::all() {
        let subject = format!("{} {}", object.kind, object.id);
        let mend = format!("ipcrm {} {}", object.option, object.id);
        found.push((vec![object.uid, object.creator], subject, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whose_things_are_and_how_they_go() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("fill"), "").unwrap();
        let me = nix::unistd::geteuid().as_raw();
        let path = dir.path().join("fill").display().to_string();
        let own = (vec![me], format!("file {path}"), format!("rm -r {path}"));
        assert!(owned(&[dir.path()]).contains(&own));
        assert!(!owned(&[&dir.path().join("none")]).contains(&own));
    }
}
