//! A build comes to run in a stage.

use super::{Facts, create::add_static, deploy::Follow};
use crate::{
    domain::{Build, JobKind},
    engine::Plan,
    step::{
        BackUp, CheckBuild, CheckHealth, Configure, FromBuild, Inspect, MakeAccount,
        MakeStageFolder, OpenSocket, Publish, RecordBuild, Release, ReservePort, TREE, backup_file,
    },
};

/// The steps that follow what runs in a stage by a build. The first deployment follows an instance that is not
/// there. Without `releases` release commands and backups are left out: the build ran there before. As of
/// [`deploy`](super::deploy), visitors get the present one until the switch.
pub fn deploy_build(facts: &Facts<'_>, build: &Build, by: &str, releases: bool) -> Plan {
    let Facts {
        settings,
        project,
        workspace,
        ..
    } = facts;
    let directory = || workspace.directory.clone();
    let present = || workspace.instance();
    let number = workspace.deployment.saturating_add(1);
    let next = || present().instance(number);
    let host = || project.host_for(&workspace.name);
    let tls = project.is_https(&workspace.name);
    let stage = project.stage(&workspace.name);
    let packages = build.packages.clone().unwrap_or_default();
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
        build: Some(FromBuild {
            directory: build.directory.clone(),
            packages: packages.clone(),
            releases,
        }),
    };
    let backup = stage
        .filter(|stage| releases && !stage.backup.is_empty())
        .map(|_| {
            backup_file(
                &workspace.directory,
                // Also after a failed attempt: a copy is never written over.
                &format!("{}-build-{}", workspace.job.simple(), build.number),
            )
        });
    let mut plan = Plan::new(JobKind::Deploy);
    if let Some(account) = facts.account.clone() {
        plan = plan.then(&MakeAccount { account });
    }
    plan = plan
        .then(&CheckBuild {
            number: build.number,
            directory: build.directory.clone(),
            digest: build.digest.clone().unwrap_or_default(),
            packages,
        })
        .then(&Inspect {
            mirror: facts.mirror(),
            commit: Some(build.source.commit.clone()),
            clone: None,
        })
        .then(&MakeStageFolder {
            directory: directory(),
        })
        .then(&reserve_port)
        .then(&configure);
    if let Some(file) = &backup {
        plan = plan.then(&BackUp {
            instance: next(),
            directory: directory(),
            file: file.clone(),
        });
    }
    if releases {
        plan = plan.then(&Release { instance: next() });
    }
    let plan = plan.then(&OpenSocket {
        directory: directory(),
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
        publish: Publish {
            instance: next(),
            host: host(),
            directory: directory(),
            tls,
        },
        present: present(),
        directory: directory(),
    };
    follow
        .add_to(add_static(
            plan,
            facts,
            build.directory.join(TREE),
            Some(next()),
        ))
        .then(&RecordBuild {
            number: build.number,
            commit: build.source.commit.clone(),
            by: by.to_owned(),
            releases,
            backup,
        })
}
