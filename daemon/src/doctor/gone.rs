//! Projects that the ledger knows and whose file is gone.

use super::Finding;
use crate::{cid::Cid, domain::ProjectName, error::Error, step::RecordBuild, store::StoreError};
use cid_kernel::fs;
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
    pub(crate) fn mend(&self, cid: &Cid) -> String {
        format!(
            "restore {}, or take it away: cictl project remove {}",
            cid.projects.file_of(&self.project).display(),
            self.project
        )
    }
}

/// All projects that have workspaces and no file.
///
/// # Errors
/// The ledger fails.
pub(crate) async fn gone(cid: &Cid) -> Result<Vec<Gone>, StoreError> {
    let shelf = cid.projects.all();
    let counts = cid.store.workspace_counts().await?;
    Ok(counts
        .into_iter()
        .filter(|(project, _)| !shelf.contains_key(project.as_str()))
        .map(|(project, workspaces)| Gone {
            project,
            workspaces,
        })
        .collect())
}

/// Stages that run what they ran before: the newest build did not come to run there.
pub(super) async fn failed(cid: &Cid, findings: &mut Vec<Finding>) -> Result<(), Error> {
    for row in cid.store.failed_deployments(None).await? {
        let (Some(stage), Some(planned)) = (row.about.stage(), RecordBuild::planned(&row.plan))
        else {
            continue;
        };
        let at = row.ended_at.unwrap_or(row.created_at);
        let why = row.failure.map(|failure| failure.message);
        findings.push(Finding::note(
            format!("stage {stage} of {}", row.project),
            format!(
                "build {} was not deployed at {}: {}; visitors have what they had before; cictl jobs show {} says more",
                planned.number,
                at.strftime("%F %T UTC"),
                why.unwrap_or_default(),
                row.id
            ),
        ));
    }
    Ok(())
}

/// Reports them, projects of which other things are left, and stages that are no longer in their project's file.
///
/// # Errors
/// The ledger fails, or a folder cannot be read.
pub(super) async fn find(cid: &Cid, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let gone = gone(cid).await?;
    let mut others = traces(cid).await?;
    for gone in gone {
        others.remove(&gone.project);
        let subject = format!("project {}", gone.project);
        findings.push(Finding::drift(subject, gone.told(), gone.mend(cid)));
    }
    let shelf = cid.projects.all();
    for stage in cid.store.workspaces(None, 0, usize::MAX >> 1).await? {
        // A project without a usable file is reported as that.
        let Some(Ok(file)) = shelf.get(stage.project.as_str()) else {
            continue;
        };
        if stage.is_stage() && file.stage(&stage.name).is_none() {
            let (name, project) = (&stage.name, &stage.project);
            findings.push(Finding::drift(
                format!("stage {name} of {project}"),
                "it is kept, and what it runs is served, but the project file does not name it",
                format!(
                    "write [stages.{name}] again, or: cictl delete {name} -p {project} --yes --discard (its data go)"
                ),
            ));
        }
    }
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
async fn traces(cid: &Cid) -> Result<BTreeSet<ProjectName>, Error> {
    let mut found = cid.store.projects_with_work_dirs().await?;
    for folder in cid.layout.folders_by_project() {
        let names = fs::names(&folder)?;
        found.extend(names.iter().filter_map(|name| ProjectName::parse(name)));
    }
    let copies = cid.sys.certificates.list()?;
    found.extend(copies.iter().map(|name| name.project().clone()));
    Ok(found)
}
