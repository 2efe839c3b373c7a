//! An address becomes a workspace.

use super::Facts;
use crate::{
    domain::{Isolation, JobKind},
    engine::Plan,
    step::{
        CheckHealth, Clone, Configure, Fetch, GrantAccess, HOME, Inspect, InstallDependencies,
        LoadProgram, MakeAccount, MakeDirectory, Publish, PushBranch, Release, ReservePort,
        StartProcesses, TrustClone, UseAccount,
    },
};

/// The steps that make a workspace. What is quick and can say no comes first; supervisord reads its
/// files while the release commands run; nginx is told while the app starts; the push, which the
/// outside must take back, comes last.
pub fn create(facts: &Facts<'_>) -> Plan {
    let Facts {
        settings,
        project,
        workspace,
        ..
    } = facts;
    let directory = || workspace.directory.clone();
    let host = || project.host_for(&workspace.name);
    let base = || project.git.base.to_string();
    let branch = || workspace.branch.clone();
    let ports = &settings.ports.0;
    let mut plan = Plan::new(JobKind::Create);
    if let Some(account) = facts.account.clone() {
        plan = match workspace.isolation {
            Isolation::Workspace => plan.then(&MakeAccount {
                account,
                home: workspace.directory.join(HOME),
            }),
            Isolation::Owner(_) | Isolation::Shared(_) => plan.then(&UseAccount { account }),
        };
        // In a sandbox the clone is the person's own.
        plan = plan.then(&TrustClone {
            directory: directory(),
        });
    }
    plan.then(&Fetch {
        mirror: facts.mirror(),
        remote: project.remote(),
        base: base(),
        branch: branch(),
    })
    .then(&Inspect {
        mirror: facts.mirror(),
    })
    .then(&ReservePort {
        from: *ports.start(),
        to: *ports.end(),
    })
    .then(&MakeDirectory {
        directory: directory(),
        trash: facts.trash(),
    })
    .then(&Clone {
        mirror: facts.mirror(),
        directory: directory(),
        url: project.git.url.to_string(),
        base: base(),
        branch: branch(),
    })
    .then(&InstallDependencies {
        mirror: facts.mirror(),
        directory: directory(),
    })
    .then(&Configure {
        directory: directory(),
        name: workspace.name.to_string(),
        url: workspace.url.clone(),
    })
    .then(&GrantAccess {
        directory: directory(),
        email: workspace.email.clone(),
    })
    .then(&LoadProgram {})
    .then(&Release {})
    .then(&StartProcesses {})
    .then(&Publish {
        host: host(),
        directory: directory(),
        tls: workspace.is_https(),
    })
    .then(&CheckHealth {
        host: host(),
        tls: workspace.is_https(),
    })
    .then(&PushBranch {
        mirror: facts.mirror(),
        remote: project.remote(),
        branch: branch(),
    })
}
