//! Removes what of the store nobody uses.

use super::build::keeps;
use crate::{cid::Cid, error::Error, keeper, keeper::Unused};

/// Finds what of a project, or of all, nobody uses, and removes it, unless told to look only. Projects share
/// versions of Node: these are looked at only where no project is named.
///
/// # Errors
/// There is no such project, or the ledger or a folder cannot be read.
pub async fn prune(cid: &Cid, project: &str, only_look: bool) -> Result<Vec<Unused>, Error> {
    let projects = match project {
        "" => cid.projects.all().values().flatten().cloned().collect(),
        name => vec![cid.projects.get(name)?],
    };
    let mut all = Vec::new();
    for one in projects {
        all.extend(keeper::prune_project(cid, &one.name, &keeps(&one), only_look).await?);
    }
    if project.is_empty() {
        all.extend(keeper::prune_node(cid, only_look).await?);
    }
    Ok(all)
}
