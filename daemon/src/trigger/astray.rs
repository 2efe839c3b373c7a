//! Builds under way whose commit is not on its branch any more, after a forced push or with the branch: what comes of
//! them would go nowhere.

use crate::{
    authz::{Action, Claim},
    cid::{Cid, FollowUp},
    config::Project,
    domain::Build,
    error::Error,
    operation,
    system::helpers::{Identity, ask_once},
};
use cid_protocol::request::IsAncestor;
use std::collections::BTreeMap;

/// Cancels them. `now`: the commits of the remote's branches. One that a person asked for is left alone.
///
/// # Errors
/// The ledger's.
pub(super) async fn cancel_astray(
    cid: &Cid,
    project: &Project,
    now: &BTreeMap<String, String>,
) -> Result<Vec<FollowUp>, Error> {
    let mut follow_ups = Vec::new();
    for build in cid.store.pushed_and_live(project.name.clone()).await? {
        let branch = build.source.reference.clone();
        let head = now.get(&branch);
        if let Some(head) = head
            && is_on(cid, project, &build, head).await
        {
            continue;
        }
        let commit = head.cloned();
        if cancel(cid, project, &build, commit.is_some()).await? {
            follow_ups.push(FollowUp {
                message: format!(
                    "build {} is cancelled: its commit is not on the branch any more",
                    build.number
                ),
                branch,
                commit,
                job: None,
                later: false,
            });
        }
    }
    Ok(follow_ups)
}

/// Where git cannot tell, it counts as there.
async fn is_on(cid: &Cid, project: &Project, build: &Build, head: &str) -> bool {
    if *head == build.source.commit {
        return true;
    }
    let ask = IsAncestor {
        mirror: cid.layout.mirror(&project.name),
        commit: build.source.commit.clone(),
        of: head.to_owned(),
    };
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    let (identity, limit) = (
        Identity::Git(project.name.clone()),
        *cid.settings.limits.step,
    );
    let told = ask_once(helpers, identity, limit, stopping, ask).await;
    told.unwrap_or(true)
}

/// `moved`: a newer build of the branch takes its place.
async fn cancel(cid: &Cid, project: &Project, build: &Build, moved: bool) -> Result<bool, Error> {
    let of = Some(project.name.clone());
    let newer = cid.store.builds(of, None, usize::MAX >> 1).await?;
    let newer = newer
        .iter()
        .find(|one| one.number > build.number && one.source.reference == build.source.reference);
    let by = newer.filter(|_| moved).map(|newer| newer.number);
    // First, for the cancelled job's end reads it.
    cid.store.supersede(build.job, by).await?;
    let claim = Claim::of_trigger(project.name.clone(), Action::ManageJobs);
    match operation::cancel_job(cid, claim, build.job).await {
        Ok(_) => Ok(true),
        // It has ended by now.
        Err(error) => {
            cid.store.supersede(build.job, None).await?;
            tracing::debug!("{error}");
            Ok(false)
        }
    }
}
