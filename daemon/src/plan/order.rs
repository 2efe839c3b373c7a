//! What a job is to do, as data.

use super::{BranchChoice, Facts, Looked, Staying, create, delete, deploy_build};
use crate::{
    config::{Project, Settings},
    domain::{AccountRange, Build, JobKind, Workspace},
    engine::Plan,
    layout::Layout,
};
use std::sync::Arc;

/// What a job is to do. It becomes a plan when its workspace has a name and a number.
#[derive(Clone, Debug)]
pub enum Order {
    /// Make the workspace.
    Create {
        /// The project as its file says now.
        project: Arc<Project>,
    },
    /// Remove the workspace.
    Delete {
        /// The remote branch that is to go as well.
        branch: Option<BranchChoice>,
        /// What a look for work came to; without it, work may be lost.
        looked: Option<Looked>,
    },
    /// Do something to the workspace that leaves it where it is.
    Stay {
        /// What, by its row.
        row: &'static Staying,
        /// The project as its file says now.
        project: Arc<Project>,
    },
    /// Have a build run in the stage.
    DeployBuild {
        /// The project as its file says now.
        project: Arc<Project>,
        /// The build.
        build: Box<Build>,
        /// On whose behalf, in words.
        by: String,
        /// Release commands run; not where the build ran there before.
        releases: bool,
    },
}

/// What all plans are made on.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Where things are.
    pub layout: Arc<Layout>,
    /// The daemon's settings.
    pub settings: Arc<Settings>,
    /// The accounts of workspaces.
    pub accounts: AccountRange,
}

impl Order {
    /// The kind of job.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Create { .. } => JobKind::Create,
            Self::Delete { .. } => JobKind::Delete,
            Self::Stay { row, .. } => row.kind,
            Self::DeployBuild { .. } => JobKind::Deploy,
        }
    }

    /// The build that it needs, by its number in the ledger.
    pub fn build(&self) -> Option<i64> {
        match self {
            Self::DeployBuild { build, .. } => Some(build.id),
            _ => None,
        }
    }

    /// The steps, for this workspace.
    pub fn plan(&self, ground: &Ground, workspace: &Workspace) -> Plan {
        let facts = |project| Facts {
            layout: &ground.layout,
            settings: &ground.settings,
            project,
            workspace,
            account: ground.accounts.of(workspace),
        };
        match self {
            Self::Create { project } => create(&facts(project)),
            Self::Stay { row, project } => (row.plan)(&facts(project)),
            Self::DeployBuild {
                project,
                build,
                by,
                releases,
            } => deploy_build(&facts(project), build, by, *releases),
            Self::Delete { branch, looked } => {
                let account = ground.accounts.of(workspace);
                let (branch, looked) = (branch.as_ref(), looked.as_ref());
                delete(&ground.layout, workspace, branch, looked, account)
            }
        }
    }
}
