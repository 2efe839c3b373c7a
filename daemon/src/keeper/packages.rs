//! Packages that several workspaces share, and that nobody has used for long: removed.

use crate::{
    cid::Cid,
    domain::ProjectName,
    step::ALONE,
    system::{
        helpers::{Identity, ask_once},
        queue::{Resource, Who},
    },
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::Purge};
use std::{path::Path, sync::Arc, time::SystemTime};

/// More builds than this no project keeps.
const MOST_BUILDS: usize = 100_000;

/// Removes what was last used before this; what a process or a build may still use stays. Gives how many.
///
/// # Errors
/// The ledger or a folder cannot be read. One that cannot be removed stays for the next time.
pub(crate) async fn forget_packages(cid: &Cid, before: SystemTime) -> Result<usize, Fault> {
    let mut removed = 0;
    for project in cid.projects.all().values().flatten() {
        for key in fs::names(&cid.layout.package_marks(&project.name))? {
            let mark = cid.layout.package_mark(&project.name, &key);
            if !is_older(&mark, before) || is_used(cid, &project.name, &key).await? {
                continue;
            }
            match forget(cid, &project.name, &key, before).await {
                Ok(true) => removed += 1,
                Ok(false) => {}
                Err(fault) => tracing::warn!("{fault}"),
            }
        }
    }
    Ok(removed)
}

fn is_older(mark: &Path, before: SystemTime) -> bool {
    let changed = std::fs::metadata(mark).and_then(|meta| meta.modified());
    changed.is_ok_and(|changed| changed < before)
}

/// Whether processes were set up with it, or a build that has its files names it. One that is being built has taken
/// it a moment ago.
pub(super) async fn is_used(cid: &Cid, project: &ProjectName, key: &str) -> Result<bool, Fault> {
    if is_named(cid, key)? {
        return Ok(true);
    }
    let place = cid.layout.packages(project).join(key);
    let builds = cid
        .store
        .builds(Some(project.clone()), None, MOST_BUILDS)
        .await?;
    let kept = builds
        .into_iter()
        .filter(|build| fs::exists(&build.directory));
    let mut packages = kept.filter_map(|build| build.packages);
    Ok(packages.any(|packages| {
        let folders = [&packages.path, &packages.shared, &packages.packages];
        folders.into_iter().flatten().any(|folder| *folder == place)
    }))
}

/// Whether what processes were set up with names this.
///
/// # Errors
/// A run file cannot be read.
pub(super) fn is_named(cid: &Cid, text: &str) -> Result<bool, Fault> {
    let folder = cid.layout.run_file_dir();
    for name in fs::names(&folder)? {
        let run_file = fs::read_optional(&folder.join(name))?;
        if run_file.is_some_and(|run_file| run_file.contains(text)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Its mark goes first: from then on it is no complete one, and who wants it builds it anew. `false`: somebody
/// builds or has just taken it.
pub(super) async fn forget(
    cid: &Cid,
    project: &ProjectName,
    key: &str,
    before: SystemTime,
) -> Result<bool, Fault> {
    let who = Arc::new(Who::cid(Some(project.clone()), "tidying"));
    let builds = Resource::Builds(project.clone());
    let Some(_turn) = cid.sys.queues.try_take(builds, &who) else {
        return Ok(false);
    };
    let mark = cid.layout.package_mark(project, key);
    if !is_older(&mark, before) {
        return Ok(false);
    }
    fs::remove_file(&mark)?;
    if key.ends_with(ALONE) {
        return Ok(true);
    }
    let path = cid.layout.packages(project).join(key);
    let (identity, limit) = (
        Identity::Purge(cid.layout.packages(project)),
        *cid.settings.limits.purge,
    );
    let helpers = cid.sys.helpers.as_ref();
    let purged = ask_once(
        helpers,
        identity,
        limit,
        cid.stopping.clone(),
        Purge { path },
    )
    .await;
    purged.map(|_| true)
}

/// So many days before now.
pub(crate) fn days_ago(days: u16) -> SystemTime {
    let ago = jiff::SignedDuration::from_hours(24 * i64::from(days));
    SystemTime::from(jiff::Timestamp::now() - ago)
}
