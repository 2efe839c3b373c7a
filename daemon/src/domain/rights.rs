//! What a project's file says of people's rights.

use super::{Email, ProjectName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whose workspaces are whose, and who may not use cid, by the last good file of a project. It stays in
/// force while the file is bad or gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// `[access.people]`: the account of each address.
    pub people: BTreeMap<Email, String>,
    /// The account that speaks to the git server.
    pub deploy_user: Option<String>,
}

/// Those of all projects.
pub type RightsByProject = BTreeMap<ProjectName, Rights>;
