//! Whether people's own git may work in the clones there are, and in no others.

use super::Finding;
use crate::{
    domain::{Workspace, WorkspaceState},
    rpc::Api,
    step::TREE,
    store::StoreError,
    system::{Fault, trusted},
};
use std::{collections::BTreeSet, path::PathBuf};

/// How the file differs from the ledger.
struct Difference {
    missing: BTreeSet<PathBuf>,
    surplus: BTreeSet<PathBuf>,
}

impl Difference {
    /// What a job under way makes or removes is the job's business.
    fn of(api: &Api, workspaces: &[Workspace]) -> Result<Self, Fault> {
        let named = trusted::read(&api.layout.git_config())?;
        let clone = |workspace: &Workspace| workspace.directory.join(TREE);
        let known: BTreeSet<_> = workspaces.iter().map(clone).collect();
        let ready = workspaces
            .iter()
            .filter(|workspace| workspace.state == WorkspaceState::Ready)
            .map(clone);
        Ok(Self {
            missing: ready.filter(|clone| !named.contains(clone)).collect(),
            surplus: named.difference(&known).cloned().collect(),
        })
    }

    fn is_none(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty()
    }

    fn mend(self, api: &Api) -> Result<(), Fault> {
        trusted::change(&api.layout.git_config(), |clones| {
            clones.retain(|clone| !self.surplus.contains(clone));
            clones.extend(self.missing);
        })
    }
}

/// Writes what an earlier version did not, or what was lost.
///
/// # Errors
/// The ledger cannot be read. A file that cannot be written is said in the log.
pub async fn trust_clones(api: &Api) -> Result<(), StoreError> {
    if api.sys.accounts.is_none() {
        return Ok(());
    }
    let workspaces = api.store.workspaces(None, 0, usize::MAX >> 1).await?;
    let mended = Difference::of(api, &workspaces).and_then(|difference| difference.mend(api));
    if let Err(fault) = mended {
        tracing::warn!("people's own git may not work in workspaces: {fault}");
    }
    Ok(())
}

/// Compares the file with the ledger.
pub(super) fn trust(
    api: &Api,
    workspaces: &[Workspace],
    repair: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Fault> {
    if api.sys.accounts.is_none() {
        return Ok(());
    }
    let difference = Difference::of(api, workspaces)?;
    if difference.is_none() {
        return Ok(());
    }
    let finding = Finding::drift(
        format!("file {}", api.layout.git_config().display()),
        "it does not name the clones that there are",
        "cictl doctor --repair writes it again",
    );
    findings.push(if repair {
        finding.repaired_if(difference.mend(api))
    } else {
        finding
    });
    Ok(())
}
