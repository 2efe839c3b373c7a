//! The rights of people in a project's file.

use super::{Email, ProjectName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who owns which workspace and who may not use cid, from the last good file of a project. It stays in
/// force while the file is bad or missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// `[access.people]`: the account of each address.
    pub people: BTreeMap<Email, String>,
    /// The account that connects to the git server.
    pub deploy_user: Option<String>,
}

/// The rights of all projects.
pub type RightsByProject = BTreeMap<ProjectName, Rights>;
