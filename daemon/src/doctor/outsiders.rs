//! Processes that run as a workspace's account and are not cid's: a manager of units or a session from a time when
//! login as that account was still possible, or something that one of the machine's services started.

use super::Finding;
use crate::{
    cid::Cid,
    store::StoreError,
    system::{
        helpers::{Identity, ask_once},
        procs,
    },
};
use cid_kernel::cgroup;
use cid_protocol::request::EndProcesses;
use std::{collections::BTreeSet, time::Duration};

/// Time limit for ending them.
const LIMIT: Duration = Duration::from_secs(15);
/// At most this many programs are named.
const NAMED: usize = 5;

/// Reports them, and with `repair` ends them.
///
/// # Errors
/// The ledger fails.
pub(super) async fn outsiders(
    cid: &Cid,
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let range = cid.account_range();
    let workspaces = cid.store.workspaces(None, 0, usize::MAX >> 1).await?;
    let ready = workspaces
        .into_iter()
        .filter(|workspace| workspace.state.is_whole());
    for workspace in ready {
        let Some(account) = range.of(&workspace) else {
            continue;
        };
        let found = outside(account.uid);
        if found.is_empty() {
            continue;
        }
        let finding = Finding::drift(
            format!("account {}", account.name),
            format!("processes that are not cid's run as it: {}", named(&found)),
            "cictl doctor --repair ends them",
        );
        if !repair {
            findings.push(finding);
            continue;
        }
        let ended = ask_once(
            cid.sys.helpers.as_ref(),
            Identity::Reaper(workspace.unit(), workspace.id),
            LIMIT,
            cid.stopping.clone(),
            EndProcesses {
                outside_only: true,
                ..EndProcesses::default()
            },
        )
        .await;
        findings.push(finding.repaired_if(ended.map(drop)));
    }
    Ok(())
}

fn outside(uid: u32) -> Vec<u32> {
    let mut found = procs::of(uid);
    found.retain(|pid| !cgroup::is_cids(*pid));
    found
}

/// The programs that they run, each once.
fn named(pids: &[u32]) -> String {
    let program = |pid: &u32| procs::command_line(*pid).into_iter().next();
    let programs: BTreeSet<String> = pids.iter().filter_map(program).collect();
    let mut named: Vec<String> = programs.into_iter().take(NAMED).collect();
    named.push(format!("{} in all", pids.len()));
    named.join(", ")
}
