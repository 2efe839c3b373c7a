//! Removes builds that nothing keeps.

use crate::{
    cid::Cid,
    domain::ProjectName,
    store::Keeps,
    system::helpers::{Identity, ask_once},
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::Purge};
use std::collections::BTreeSet;

/// So many of a project's newest builds are kept.
pub(super) const KEPT: usize = 10;
/// And those that are younger.
const YOUNG: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Removes the project's builds that are neither new nor kept by a stage, and folders that the ledger has forgotten.
///
/// # Errors
/// The ledger or the disk fails; what is left is removed the next time.
pub(crate) async fn tidy_builds(
    cid: &Cid,
    project: &ProjectName,
    keeps: &Keeps,
) -> Result<(), Fault> {
    let builds = cid
        .store
        .builds(Some(project.clone()), None, usize::MAX >> 1);
    let old = jiff::Timestamp::now() - YOUNG;
    for build in builds.await?.iter().skip(KEPT) {
        if build.created_at < old {
            let keeps = Some(keeps.clone());
            cid.store.forget_build(build.id, keeps).await?;
        }
    }
    for number in forgotten_builds(cid, project).await? {
        purge_build(cid, project, number).await?;
    }
    Ok(())
}

/// Folders of builds that the ledger does not know.
///
/// # Errors
/// The ledger or the disk fails.
pub(crate) async fn forgotten_builds(cid: &Cid, project: &ProjectName) -> Result<Vec<u32>, Fault> {
    // The folders first: a build that begins now has its row before it has a folder.
    let names = fs::names(&cid.layout.builds(project))?;
    let builds = cid
        .store
        .builds(Some(project.clone()), None, usize::MAX >> 1);
    let known: BTreeSet<u32> = builds.await?.iter().map(|build| build.number).collect();
    let numbers = names.iter().filter_map(|name| name.parse().ok());
    Ok(numbers.filter(|number| !known.contains(number)).collect())
}

/// Removes a build's folder.
///
/// # Errors
/// It cannot be removed.
pub(crate) async fn purge_build(
    cid: &Cid,
    project: &ProjectName,
    number: u32,
) -> Result<(), Fault> {
    let parent = cid.layout.builds(project);
    let path = parent.join(number.to_string());
    let limit = *cid.settings.limits.purge;
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    let purge = Purge { path };
    ask_once(helpers, Identity::Purge(parent), limit, stopping, purge).await?;
    Ok(())
}
