//! An address becomes a workspace.

use super::Facts;
use crate::{
    domain::{JobKind, UnitName, Workspace},
    engine::Plan,
    layout::kept_dir,
    step::{
        CheckHealth, Clone, CollectStatic, Configure, Fetch, GrantAccess, Inspect,
        InstallDependencies, MakeAccount, MakeDirectory, Publish, PushBranch, RecordMade, Release,
        ReservePort, StartProcesses, TREE, TakeTemplate,
    },
};
use std::path::PathBuf;

/// The steps that make a workspace. What is quick and can say no comes first; nginx reads its files while
/// the release commands run; the push, which the outside must take back, comes last.
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
    let instance = || workspace.instance();
    let reserve_port = ReservePort {
        instance: instance(),
        from: *ports.start(),
        to: *ports.end(),
    };
    let configure = Configure {
        instance: instance(),
        directory: directory(),
        follows: None,
        build: None,
    };
    let publish = Publish {
        instance: instance(),
        host: host(),
        directory: directory(),
        tls: workspace.is_https(),
    };
    let plan = with_account(facts)
        .beside(&Fetch {
            mirror: facts.mirror(),
            remote: project.remote(),
            base: base(),
            branch: branch(),
            is_deployment: false,
        })
        .beside(&reserve_port)
        .then(&Inspect {
            mirror: facts.mirror(),
            commit: None,
            clone: None,
        })
        .beside(&MakeDirectory {
            directory: directory(),
            mirror: facts.mirror(),
            kept: kept(workspace),
        })
        .then(&Clone {
            mirror: facts.mirror(),
            directory: directory(),
            url: project.git.url.to_string(),
            base: base(),
            branch: branch(),
            email: facts.workspace.owner.to_string(),
        })
        .then(&InstallDependencies {
            mirror: facts.mirror(),
            directory: directory(),
            follows: None,
        })
        .then(&configure)
        .then(&TakeTemplate {
            directory: directory(),
        })
        .then(&Release {
            instance: instance(),
        })
        .beside(&publish)
        // Not before: programs such as SQLite say themselves what may be done with what they make, and
        // would leave the developer out.
        .then(&GrantAccess {
            directory: directory(),
            owner: workspace.owner.clone(),
        });
    with_static(plan, facts, None)
        .then(&StartProcesses {
            reserve_port: reserve_port.clone(),
            configure: configure.clone(),
            publish: Some(publish.clone()),
        })
        .then(&CheckHealth {
            instance: instance(),
            past_nginx: false,
            host: host(),
            tls: workspace.is_https(),
            directory: Some(directory()),
        })
        .then(&PushBranch {
            mirror: facts.mirror(),
            remote: project.remote(),
            branch: branch(),
        })
        .beside(&RecordMade {
            directory: directory(),
        })
}

/// Adds the copy of collected static files, where nginx serves some.
pub(super) fn with_static(plan: Plan, facts: &Facts<'_>, instance: Option<UnitName>) -> Plan {
    add_static(plan, facts, facts.workspace.directory.join(TREE), instance)
}

/// The same, of the files in this tree.
pub(super) fn add_static(
    plan: Plan,
    facts: &Facts<'_>,
    tree: PathBuf,
    instance: Option<UnitName>,
) -> Plan {
    let directory = facts.workspace.directory.clone();
    match &facts.project.nginx.collected {
        None => plan,
        Some(_) => plan.beside(&CollectStatic {
            directory,
            tree,
            instance,
        }),
    }
}

/// Another creation of that name begins later.
fn kept(workspace: &Workspace) -> PathBuf {
    let work_dir = workspace.directory.parent().unwrap_or(&workspace.directory);
    let when = workspace.created_at.strftime("%Y-%m-%d-%H%M%S");
    kept_dir(work_dir).join(format!("{}-{when}", workspace.name))
}

/// The plan's begin: the account on a host. In a sandbox everything is the person's own.
fn with_account(facts: &Facts<'_>) -> Plan {
    let plan = Plan::new(JobKind::Create);
    let Some(account) = facts.account.clone() else {
        return plan;
    };
    plan.then(&MakeAccount { account })
}
