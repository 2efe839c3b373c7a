//! Projects: as they are now, checked, taken away.

mod check;
mod remove;
mod story;

pub(super) use check::look_at;
pub use check::{Item, Severity, check};
pub use remove::{Removed, check_removal, remove};

use super::known_project;
use crate::{
    cid::Cid,
    config::{ConfigError, Project},
    doctor::gone::Gone,
    domain::ProjectName,
    error::Error,
    store::Silent,
    system::tls::Certificates,
};
use cid_kernel::fs;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A project as it is now.
#[derive(Debug)]
pub struct ShownProject {
    /// Its name.
    pub name: String,
    /// What its file says, if it can be read.
    pub project: Option<Arc<Project>>,
    /// Why it cannot be used; empty if it can.
    pub error: String,
    /// How many workspaces it has.
    pub workspaces: u32,
    /// Its remote does not answer.
    pub silent: Option<Silent>,
}

/// One project.
///
/// # Errors
/// No such project, or the ledger fails.
pub async fn show(cid: &Cid, name: &str) -> Result<ShownProject, Error> {
    let shelf = cid.projects.all();
    known_project(cid, name).await?;
    let counts = cid.store.workspace_counts().await?;
    let silent = cid.store.silent_remotes().await?;
    Ok(shown(cid, name, shelf.get(name), &counts, &silent).await)
}

/// At most `limit` projects whose names follow `after`. A sandbox reads files that were added; on a
/// host a reload does.
///
/// # Errors
/// The ledger fails.
pub async fn list(cid: &Cid, after: &str, limit: usize) -> Result<Vec<ShownProject>, Error> {
    if !cid.sys.is_host() && has_new_file(cid)? {
        cid.read_projects().await?;
    }
    let shelf = cid.projects.all();
    let counts = cid.store.workspace_counts().await?;
    let silent = cid.store.silent_remotes().await?;
    let gone = counts.keys().map(ProjectName::as_str);
    let names: BTreeSet<&str> = shelf.keys().map(String::as_str).chain(gone).collect();
    let mut projects = Vec::new();
    for name in names.into_iter().filter(|name| *name > after).take(limit) {
        projects.push(shown(cid, name, shelf.get(name), &counts, &silent).await);
    }
    Ok(projects)
}

fn has_new_file(cid: &Cid) -> Result<bool, Error> {
    let shelf = cid.projects.all();
    let names = fs::names(&cid.layout.projects_dir())?;
    let mut stems = names.iter().filter_map(|name| name.strip_suffix(".toml"));
    Ok(stems.any(|stem| !shelf.contains_key(stem)))
}

/// `entry` is `None` for a project that has no file, and workspaces.
async fn shown(
    cid: &Cid,
    name: &str,
    entry: Option<&Result<Arc<Project>, ConfigError>>,
    counts: &BTreeMap<ProjectName, u32>,
    silent: &[Silent],
) -> ShownProject {
    let of = ProjectName::parse(name);
    let count = of.as_ref().and_then(|project| counts.get(project));
    let workspaces = count.copied().unwrap_or_default();
    let error = match (entry, of) {
        (Some(Ok(project)), _) => {
            let mut errors: Vec<String> =
                cid.projects.unprepared(&project.name).into_iter().collect();
            for given in project.certificates() {
                let bad = Certificates::read(&given).await.err();
                errors.extend(bad.map(|fault| format!("{}: {}", given.name.key(), fault.message)));
            }
            errors.join("; ")
        }
        (Some(Err(error)), _) => error.to_string(),
        (None, Some(project)) => {
            let gone = Gone {
                project,
                workspaces,
            };
            format!("{}: {}", gone.told(), gone.mend(cid))
        }
        (None, None) => "it has no file".to_owned(),
    };
    ShownProject {
        name: name.to_owned(),
        project: entry.and_then(|entry| entry.as_ref().ok()).cloned(),
        error,
        workspaces,
        silent: silent
            .iter()
            .find(|one| one.project.as_str() == name)
            .cloned(),
    }
}
