//! A workspace is brought up to date while it serves.

use super::{Facts, create::with_static, stop::run};
use crate::{
    domain::{JobKind, UnitName},
    engine::Plan,
    step::{
        CheckHealth, CheckInstance, Configure, Deployed, Drain, Fetch, GrantAccess, Inspect,
        InstallDependencies, MakeAccount, Publish, RecordDeployment, Release, ReservePort,
        RetireInstance, StartProcesses, SwapWorkers, Switch, UpdateTree,
    },
};
use std::path::PathBuf;

/// The steps that follow a workspace's instance by the next one. Until the switch, visitors get the present one,
/// and all that comes before it can be taken back, but for what release commands do to a database.
pub fn deploy(facts: &Facts<'_>) -> Plan {
    let Facts {
        settings,
        project,
        workspace,
        ..
    } = facts;
    let directory = || workspace.directory.clone();
    let present = || workspace.instance();
    let next = || present().instance(workspace.deployment.saturating_add(1));
    // The project's domain may be another by now.
    let host = || {
        let host = workspace.host().map(str::to_owned);
        host.unwrap_or_else(|| project.host_for(&workspace.name))
    };
    let tls = match workspace.url.is_empty() {
        true => project.tls.is_some(),
        false => workspace.is_https(),
    };
    let ports = &settings.ports.0;
    let reserve_port = ReservePort {
        instance: next(),
        from: *ports.start(),
        to: *ports.end(),
    };
    let configure = Configure {
        instance: next(),
        follows: Some(present()),
        directory: directory(),
        build: None,
    };
    let publish = Publish {
        instance: next(),
        host: host(),
        directory: directory(),
        tls,
    };
    let mut plan = Plan::new(JobKind::Deploy);
    if let Some(account) = facts.account.clone() {
        plan = plan.then(&MakeAccount { account });
    }
    // They take over from each other, so those that were stopped run first, as well as they can.
    if workspace.state.is_away() {
        plan = run(plan, workspace, false);
    }
    let plan = plan
        .then(&Fetch {
            mirror: facts.mirror(),
            remote: project.remote(),
            base: project.git.base.to_string(),
            branch: workspace.branch.clone(),
            is_deployment: true,
        })
        .then(&UpdateTree {
            directory: directory(),
            branch: workspace.branch.clone(),
        })
        .then(&Inspect {
            mirror: facts.mirror(),
            commit: None,
            clone: Some(Deployed {
                directory: directory(),
                present: present(),
            }),
        })
        .then(&reserve_port)
        .then(&InstallDependencies {
            mirror: facts.mirror(),
            directory: directory(),
            follows: Some(present()),
        })
        .then(&configure)
        .then(&Release { instance: next() })
        .then(&GrantAccess {
            directory: directory(),
            owner: workspace.owner.clone(),
        });
    let follow = Follow {
        reserve_port,
        configure,
        health: CheckHealth {
            instance: next(),
            past_nginx: true,
            host: host(),
            tls,
            directory: Some(directory()),
        },
        publish,
        present: present(),
        directory: directory(),
    };
    follow.add_to(with_static(plan, facts, Some(next())))
}

/// How the next instance takes over from the present one, once all that it needs is made.
pub(super) struct Follow {
    pub(super) reserve_port: ReservePort,
    pub(super) configure: Configure,
    /// Of the next instance.
    pub(super) health: CheckHealth,
    /// Of the next instance.
    pub(super) publish: Publish,
    pub(super) present: UnitName,
    /// `WORK_DIR/NAME`.
    pub(super) directory: PathBuf,
}

impl Follow {
    /// Starts the next instance, switches to it, and ends the present one.
    pub(super) fn add_to(self, plan: Plan) -> Plan {
        let Self {
            reserve_port,
            configure,
            health,
            publish,
            present,
            directory,
        } = self;
        let next = health.instance.clone();
        plan.then(&StartProcesses {
            reserve_port,
            configure,
            publish: None,
        })
        .then(&CheckInstance(health))
        .then(&SwapWorkers {
            present: present.clone(),
            next: next.clone(),
        })
        .then(&Switch {
            publish,
            present: present.clone(),
        })
        .then(&Drain {
            present: present.clone(),
            must: false,
        })
        .then(&RetireInstance {
            present,
            next: next.clone(),
            directory: directory.clone(),
        })
        .then(&RecordDeployment {
            instance: next,
            directory,
        })
    }
}
