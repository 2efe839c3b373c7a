//! Removes templates that no new workspace begins with any more.

use super::packages::days_ago;
use crate::{
    cid::Cid,
    domain::{Build, BuildState, ProjectName},
    system::helpers::{Identity, ask_once},
};
use cid_kernel::fs;
use cid_protocol::{fault::Fault, request::Purge};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, path::PathBuf};

/// A creation that has begun may be about to take one over.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);

/// Removes the project's templates but for the newest that can be used, unless that is old, and folders that the
/// ledger has forgotten.
///
/// # Errors
/// The ledger or the disk fails; what is left is removed the next time.
pub(crate) async fn tidy_templates(cid: &Cid, project: &ProjectName) -> Result<(), Fault> {
    for template in old_templates(cid, project).await? {
        cid.store.forget_template(template.id).await?;
    }
    for path in forgotten_templates(cid, project).await? {
        purge_template(cid, project, path).await?;
    }
    Ok(())
}

/// Those that no new workspace begins with.
///
/// # Errors
/// The ledger fails.
async fn old_templates(cid: &Cid, project: &ProjectName) -> Result<Vec<Build>, Fault> {
    let all = cid.store.templates(project.clone()).await?;
    let newest = all.iter().find(|one| one.state == BuildState::Passed);
    let newest = newest.map(|one| one.id);
    let young = Timestamp::now() - YOUNG;
    let too_old = Timestamp::try_from(days_ago(cid.settings.keep_packages_days));
    let too_old = too_old.unwrap_or(Timestamp::MIN);
    let is_old = |one: &Build| match Some(one.id) == newest {
        true => one.created_at < too_old,
        false => one.created_at < young,
    };
    Ok(all.into_iter().filter(is_old).collect())
}

/// All but the newest that can be used.
///
/// # Errors
/// The ledger fails.
pub(super) async fn spare_templates(cid: &Cid, project: &ProjectName) -> Result<Vec<Build>, Fault> {
    let all = cid.store.templates(project.clone()).await?;
    let newest = all.iter().find(|one| one.state == BuildState::Passed);
    let newest = newest.map(|one| one.id);
    let is_spare = |one: &Build| Some(one.id) != newest && fs::exists(&one.directory);
    Ok(all.into_iter().filter(is_spare).collect())
}

/// Folders of templates that the ledger does not know.
///
/// # Errors
/// The ledger or the disk fails.
async fn forgotten_templates(cid: &Cid, project: &ProjectName) -> Result<Vec<PathBuf>, Fault> {
    let parent = cid.layout.templates(project);
    // The folders first: a template that begins now has its row before it has a folder.
    let names = fs::names(&parent)?;
    let known = cid.store.templates(project.clone()).await?;
    let known: BTreeSet<String> = known.iter().map(|one| one.number.to_string()).collect();
    let unknown = names.into_iter().filter(|name| !known.contains(name));
    Ok(unknown.map(|name| parent.join(name)).collect())
}

/// Removes a template's folder.
///
/// # Errors
/// It cannot be removed.
pub(super) async fn purge_template(
    cid: &Cid,
    project: &ProjectName,
    path: PathBuf,
) -> Result<(), Fault> {
    let identity = Identity::Purge(cid.layout.templates(project));
    let limit = *cid.settings.limits.purge;
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    ask_once(helpers, identity, limit, stopping, Purge { path }).await?;
    Ok(())
}
