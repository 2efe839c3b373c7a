//! Projects that the ledger knows and that have no file any more.

use super::Finding;
use crate::{domain::ProjectName, error::Error, rpc::Api, store::StoreError, system::fs};
use std::collections::BTreeSet;

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

/// Names them, and those of which other things are left.
///
/// # Errors
/// The ledger's, or a folder cannot be read.
pub(super) async fn find(api: &Api, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let gone = gone(api).await?;
    let mut others = traces(api).await?;
    for gone in gone {
        others.remove(&gone.project);
        let subject = format!("project {}", gone.project);
        findings.push(Finding::drift(subject, gone.told(), gone.mend(api)));
    }
    let shelf = api.projects.all();
    for project in others {
        if !shelf.contains_key(project.as_str()) {
            findings.push(Finding::drift(
                format!("project {project}"),
                "it has no file and no workspaces, and cid keeps things for it",
                format!("cictl project remove {project}"),
            ));
        }
    }
    Ok(())
}

/// The projects for which there is a folder or a certificate.
async fn traces(api: &Api) -> Result<BTreeSet<ProjectName>, Error> {
    let mut found = api.store.projects_with_work_dirs().await?;
    for folder in api.layout.folders_by_project() {
        let names = fs::names(&folder)?;
        found.extend(names.iter().filter_map(|name| ProjectName::parse(name)));
    }
    found.extend(api.sys.certificates.list()?);
    Ok(found)
}
