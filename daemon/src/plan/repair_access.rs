//! A workspace's files become accessible again to all who share them.

use super::Facts;
use crate::{domain::JobKind, engine::Plan, step::RepairAccess};

/// The one step that gives access to the files once more.
pub fn repair_access(facts: &Facts<'_>) -> Plan {
    Plan::new(JobKind::RepairAccess).then(&RepairAccess {
        directory: facts.workspace.directory.clone(),
        owner: facts.workspace.owner.clone(),
        account: facts.account.clone(),
    })
}
