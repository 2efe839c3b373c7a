//! A workspace's processes begin anew.

use super::Facts;
use crate::{
    domain::JobKind,
    engine::Plan,
    step::{CheckHealth, RestartProcesses},
};

/// The steps that restart a workspace's processes.
pub fn restart(facts: &Facts<'_>) -> Plan {
    let workspace = facts.workspace;
    Plan::new(JobKind::Restart)
        .then(&RestartProcesses {})
        .then(&CheckHealth {
            host: workspace.host().unwrap_or_default().to_owned(),
            tls: workspace.is_https(),
            directory: None,
        })
}
