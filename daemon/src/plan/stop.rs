//! A workspace's processes stop, until somebody starts them or a visitor comes; and they start again.

use super::Facts;
use crate::{
    domain::{JobKind, Workspace},
    engine::Plan,
    step::{CheckHealth, Drain, LetIn, RunProcesses, StopProcesses, TurnAway},
};

/// The steps that stop a workspace's processes. Who comes meanwhile waits at the front, and who is there is
/// answered, for half a minute at most.
pub fn stop(facts: &Facts<'_>) -> Plan {
    halt(JobKind::Stop, facts.workspace, false)
}

/// The same until the next visitor comes; nobody who is connected is cut off.
pub fn sleep(facts: &Facts<'_>) -> Plan {
    halt(JobKind::Sleep, facts.workspace, true)
}

fn halt(kind: JobKind, workspace: &Workspace, must: bool) -> Plan {
    Plan::new(kind)
        .then(&TurnAway {})
        .then(&Drain {
            present: workspace.instance(),
            must,
        })
        .then(&StopProcesses { for_good: false })
}

/// The steps that start them again. Visitors are let in as soon as the app listens.
pub fn start(facts: &Facts<'_>) -> Plan {
    let plan = run(Plan::new(JobKind::Start), facts.workspace, true);
    plan.then(&health(facts))
}

/// Adds the steps that have the processes run that were stopped. `must`: visitors are let in only to an app that
/// came up.
pub(super) fn run(plan: Plan, workspace: &Workspace, must: bool) -> Plan {
    let instance = workspace.instance();
    plan.then(&RunProcesses {
        instance: instance.clone(),
    })
    .then(&LetIn { instance, must })
}

/// Waits for the answer that visitors get.
pub(super) fn health(facts: &Facts<'_>) -> CheckHealth {
    let Facts {
        project, workspace, ..
    } = facts;
    // The project's domain may be another by now.
    let host = workspace.host().map(str::to_owned);
    CheckHealth {
        instance: workspace.instance(),
        past_nginx: false,
        host: host.unwrap_or_else(|| project.host_for(&workspace.name)),
        tls: workspace.is_https(),
        directory: None,
    }
}
