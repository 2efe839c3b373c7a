//! The base branch's commit becomes a template.

use super::build::made_ready;
use crate::{
    config::Project,
    domain::{Build, JobKind},
    engine::Plan,
    layout::Layout,
    step::MakeTemplate,
};

/// The steps that make a template: those of a build, and then what workspaces would run. The mirror has the commit.
pub fn template(layout: &Layout, project: &Project, template: &Build) -> Plan {
    made_ready(JobKind::Template, layout, project, template).then(&MakeTemplate {
        mirror: layout.mirror(&project.name),
        commit: template.source.commit.clone(),
        directory: template.directory.clone(),
    })
}
