//! The base branch's commit becomes a template.

use crate::{
    config::Project,
    domain::{Build, JobKind},
    engine::Plan,
    layout::Layout,
    step::{ExportCommit, Inspect, InstallDependencies, MakeBuildFolder, MakeTemplate},
};

/// The steps that make a template: those of a build, and then what workspaces would run. The mirror has the commit.
pub fn template(layout: &Layout, project: &Project, template: &Build) -> Plan {
    let mirror = || layout.mirror(&project.name);
    let directory = || template.directory.clone();
    let commit = || template.source.commit.clone();
    Plan::new(JobKind::Template)
        .then(&Inspect {
            mirror: mirror(),
            commit: Some(commit()),
            clone: None,
        })
        .then(&MakeBuildFolder {
            directory: directory(),
        })
        .then(&ExportCommit {
            mirror: mirror(),
            commit: commit(),
            directory: directory(),
        })
        .then(&InstallDependencies {
            mirror: mirror(),
            directory: directory(),
            follows: None,
        })
        .then(&MakeTemplate {
            mirror: mirror(),
            commit: commit(),
            directory: directory(),
        })
}
