//! A workspace's processes begin anew.

use super::{Facts, create::with_static};
use crate::{
    domain::JobKind,
    engine::Plan,
    step::{CheckHealth, RestartProcesses},
};

/// The steps that restart a workspace's processes.
pub fn restart(facts: &Facts<'_>) -> Plan {
    let Facts {
        project, workspace, ..
    } = facts;
    // The project's domain may be another by now.
    let host = workspace.host().map(str::to_owned);
    let plan = Plan::new(JobKind::Restart);
    // What a build collected does not change.
    let plan = match workspace.is_stage() {
        true => plan,
        false => with_static(plan, facts, None),
    };
    plan.then(&RestartProcesses {
        instance: workspace.instance(),
    })
    .then(&CheckHealth {
        instance: workspace.instance(),
        past_nginx: false,
        host: host.unwrap_or_else(|| project.host_for(&workspace.name)),
        tls: workspace.is_https(),
        directory: None,
    })
}
