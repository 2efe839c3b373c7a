//! A workspace's processes begin anew.

use super::{
    Facts,
    create::with_static,
    stop::{health, run},
};
use crate::{domain::JobKind, engine::Plan, step::RestartProcesses};

/// The steps that restart a workspace's processes, or start those that were stopped.
pub fn restart(facts: &Facts<'_>) -> Plan {
    let workspace = facts.workspace;
    let plan = Plan::new(JobKind::Restart);
    // What a build collected does not change.
    let plan = match workspace.is_stage() {
        true => plan,
        false => with_static(plan, facts, None),
    };
    let plan = match workspace.state.is_away() {
        true => run(plan, workspace, true),
        false => plan.then(&RestartProcesses {
            instance: workspace.instance(),
        }),
    };
    plan.then(&health(facts))
}
