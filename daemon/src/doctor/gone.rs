//! Projects that the ledger knows and that have no file any more.

use super::Finding;
use crate::{domain::ProjectName, rpc::Api, store::StoreError};

/// A project without a file, and how many workspaces it has.
pub(crate) struct Gone {
    /// Which.
    pub(crate) project: ProjectName,
    /// How many of its workspaces are in the ledger.
    pub(crate) workspaces: u32,
}

impl Gone {
    /// What is wrong.
    pub(crate) fn told(&self) -> String {
        let workspaces = match self.workspaces {
            1 => "1 workspace".to_owned(),
            count => format!("{count} workspaces"),
        };
        format!("the project {} has {workspaces} and no file", self.project)
    }

    /// What to do.
    pub(crate) fn mend(&self, api: &Api) -> String {
        format!(
            "restore {}, or take it away: cictl project remove {}",
            api.projects.file_of(&self.project).display(),
            self.project
        )
    }
}

/// All projects that have workspaces and no file.
///
/// # Errors
/// The ledger's.
pub(crate) async fn gone(api: &Api) -> Result<Vec<Gone>, StoreError> {
    let shelf = api.projects.all();
    let counts = api.store.workspace_counts().await?;
    Ok(counts
        .into_iter()
        .filter(|(project, _)| !shelf.contains_key(project.as_str()))
        .map(|(project, workspaces)| Gone {
            project,
            workspaces,
        })
        .collect())
}

/// Names them.
///
/// # Errors
/// The ledger's.
pub(super) async fn find(api: &Api, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    for gone in gone(api).await? {
        let subject = format!("project {}", gone.project);
        findings.push(Finding::drift(subject, gone.told(), gone.mend(api)));
    }
    Ok(())
}
