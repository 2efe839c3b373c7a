//! What of the store nobody uses: packages, builds, templates, versions of Node. Removed when somebody asks.

use super::{
    builds::{KEPT, purge_build},
    packages::{forget, is_named, is_used},
    templates::{purge_template, spare_templates},
};
use crate::{
    cid::Cid,
    domain::ProjectName,
    error::Error,
    store::Keeps,
    system::helpers::{Identity, ask_once},
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::Purge};
use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};
use tokio::task::spawn_blocking;

/// More entries of one folder are not counted.
const COUNTED: usize = 2_000_000;
/// How a folder with a version of Node begins.
const NODE: &str = "node-";

/// Something that nobody uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// `packages`, `build`, `template` or `node`.
    pub sort: &'static str,
    /// Whose; `None`: for all projects.
    pub project: Option<ProjectName>,
    /// Its folder.
    pub path: PathBuf,
    /// Its size on disk, as far as it can be read.
    pub bytes: u64,
    /// Why it stays, when it was to be removed; empty: it is gone, or was only looked for.
    pub kept: String,
}

impl Unused {
    async fn find(sort: &'static str, project: Option<&ProjectName>, path: PathBuf) -> Self {
        let at = path.clone();
        Self {
            sort,
            project: project.cloned(),
            bytes: spawn_blocking(move || size(&at)).await.unwrap_or_default(),
            path,
            kept: String::new(),
        }
    }

    fn after(self, removed: Result<(), Fault>) -> Self {
        let kept = removed.err().map(|fault| fault.to_string());
        Self {
            kept: kept.unwrap_or_default(),
            ..self
        }
    }
}

/// Finds what the project's workspaces, stages, builds and jobs do not use, and removes it, unless told to look only.
/// While a job of the project is live, its packages and templates stay.
///
/// # Errors
/// The ledger or a folder cannot be read. What cannot be removed says so.
pub(crate) async fn prune_project(
    cid: &Cid,
    project: &ProjectName,
    keeps: &Keeps,
    only_look: bool,
) -> Result<Vec<Unused>, Error> {
    // What is taken from now on is used.
    let now = SystemTime::from(jiff::Timestamp::now());
    let mut all = Vec::new();
    let mut live = cid.store.live_jobs().await?.into_iter();
    if !live.any(|job| job.project == *project) {
        for key in fs::names(&cid.layout.package_marks(project))? {
            let path = cid.layout.packages(project).join(&key);
            if !fs::exists(&path) || is_used(cid, project, &key).await? {
                continue;
            }
            let found = Unused::find("packages", Some(project), path).await;
            all.push(match only_look {
                true => found,
                false => found.after(match forget(cid, project, &key, now).await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Fault::new("a job has just taken it")),
                    Err(fault) => Err(fault),
                }),
            });
        }
        for template in spare_templates(cid, project).await? {
            let found = Unused::find("template", Some(project), template.directory.clone()).await;
            all.push(match only_look {
                true => found,
                false => {
                    cid.store.forget_template(template.id).await?;
                    found.after(purge_template(cid, project, template.directory).await)
                }
            });
        }
    }
    let builds = cid
        .store
        .builds(Some(project.clone()), None, usize::MAX >> 1);
    for build in builds.await?.into_iter().skip(KEPT) {
        let keeps = || Some(keeps.clone());
        let is_kept = cid.store.build_kept_by(build.id, keeps()).await?.is_some();
        if is_kept || !fs::exists(&build.directory) {
            continue;
        }
        let found = Unused::find("build", Some(project), build.directory).await;
        if only_look {
            all.push(found);
        } else if cid.store.forget_build(build.id, keeps()).await?.is_none() {
            all.push(found.after(purge_build(cid, project, build.number).await));
        }
    }
    Ok(all)
}

/// Finds versions of Node that cid fetched and nothing runs with, and removes them, unless told to look only. While any
/// job is live they stay.
///
/// # Errors
/// The ledger or a folder cannot be read. What cannot be removed says so.
pub(crate) async fn prune_node(cid: &Cid, only_look: bool) -> Result<Vec<Unused>, Error> {
    let mut all = Vec::new();
    if !cid.store.live_jobs().await?.is_empty() {
        return Ok(all);
    }
    let tools = cid.layout.tools_dir();
    let builds = cid.store.builds(None, None, usize::MAX >> 1).await?;
    for name in fs::names(&tools)?
        .into_iter()
        .filter(|name| name.starts_with(NODE))
    {
        let path = tools.join(name);
        let mut of_builds = builds.iter().filter_map(|build| build.packages.as_ref());
        let by_build = of_builds.any(|packages| {
            let node = packages.node.as_ref();
            node.is_some_and(|node| node.starts_with(&path))
        });
        if by_build || is_named(cid, &path.to_string_lossy())? {
            continue;
        }
        let found = Unused::find("node", None, path.clone()).await;
        all.push(match only_look {
            true => found,
            false => found.after(purge(cid, &tools, path).await),
        });
    }
    Ok(all)
}

async fn purge(cid: &Cid, parent: &Path, path: PathBuf) -> Result<(), Fault> {
    let (identity, limit) = (
        Identity::Purge(parent.to_owned()),
        *cid.settings.limits.purge,
    );
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    ask_once(helpers, identity, limit, stopping, Purge { path }).await?;
    Ok(())
}

/// Of all that lies beneath and can be read. No link is followed.
fn size(path: &Path) -> u64 {
    let (mut bytes, mut count) = (0, 0);
    let mut waiting = vec![path.to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            count += 1;
            if count > COUNTED {
                return bytes;
            }
            let Ok(meta) = entry.metadata() else { continue };
            bytes += std::os::unix::fs::MetadataExt::blocks(&meta) * 512;
            if meta.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    bytes
}
