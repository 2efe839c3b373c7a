//! What each kind of job does, as pure functions from facts to a [`Plan`](crate::engine::Plan).

mod build;
mod create;
mod delete;
mod deploy;
mod order;
mod repair_access;
mod restart;
mod stage;

pub use build::{build, recipe_of};
pub use create::create;
pub use delete::{BranchChoice, Looked, delete};
pub use deploy::deploy;
pub use order::{Ground, Order};
pub use repair_access::repair_access;
pub use restart::restart;
pub use stage::deploy_build;

use crate::{
    config::{Project, Settings},
    domain::{Account, Workspace},
    layout::Layout,
};
use std::path::PathBuf;

/// The facts that plans are made from.
pub struct Facts<'a> {
    /// Where things are.
    pub layout: &'a Layout,
    /// The daemon's settings.
    pub settings: &'a Settings,
    /// The project as its file says now.
    pub project: &'a Project,
    /// The workspace.
    pub workspace: &'a Workspace,
    /// The account it uses; `None` in a sandbox.
    pub account: Option<Account>,
}

impl Facts<'_> {
    fn mirror(&self) -> PathBuf {
        self.layout.mirror(&self.project.name)
    }
}
