//! What follows from a push: cid looks where the branches of a remote are, compares that with what it last saw, and
//! begins what the project's file says. A hint brings no data: git alone says what is new.

mod act;
mod astray;
mod audit;
mod changes;
mod hook;
mod onward;
mod poll;
mod signature;
mod timetable;

pub use hook::{Hook, Said, hooks};
#[cfg(test)]
pub(crate) use onward::carry;
pub use onward::carry_forever;
pub use poll::watch_forever;
pub use signature::Headers;

use crate::{
    authz::{Claim, Subject},
    cid::{Cid, FollowUp, Looked},
    config::Project,
    domain::{ProjectName, Workspace},
    error::Error,
    system::{
        helpers::{Identity, ask_once},
        queue::{Resource, Who},
    },
};
use cid_protocol::{
    fault::{Fault, FaultContext as _},
    request::{Branches, ListBranches},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a remote may take to say where its branches are.
const ASK_LIMIT: Duration = Duration::from_secs(30);

/// Looks at a project's remote now, and says what followed.
///
/// # Errors
/// There is no such project, the actor may not, or the remote does not answer.
pub async fn fetch(cid: &Cid, claim: Claim, project: &str) -> Result<Vec<FollowUp>, Error> {
    let project = cid.projects.named_or_only(project)?;
    let _permit = claim.bind(Subject::of_project(&project.name)).await?;
    let cid = cid.clone();
    // It goes on if the caller disconnects.
    let looking = tokio::spawn(async move { look(&cid, &project).await });
    let looked = looking
        .await
        .map_err(|error| Fault::new(format!("cannot go on looking: {error}")))?;
    Ok(looked?)
}

/// Looks at a project's remote. All who ask while one look is under way share the next one.
pub(crate) async fn look(cid: &Cid, project: &Project) -> Looked {
    let asked = Instant::now();
    let turn = cid.looks.turn(&project.name);
    let mut last = turn.lock().await;
    if let Some((begun, looked)) = &*last
        && *begun > asked
    {
        return looked.clone();
    }
    if usable(cid, &project.name).is_none() {
        return Err(Fault::new(format!(
            "cannot look at the remote of {}: the project is gone",
            project.name
        )));
    }
    let begun = Instant::now();
    let looked = look_alone(cid, project).await;
    if let Err(fault) = &looked {
        let is_new = cid
            .store
            .remote_fails(project.name.clone(), fault.message.clone());
        if is_new.await? {
            tracing::warn!(
                PROJECT = project.name.as_str(),
                "cannot follow its remote: {fault}"
            );
        }
    }
    *last = Some((begun, looked.clone()));
    looked
}

async fn look_alone(cid: &Cid, project: &Project) -> Looked {
    let name = || project.name.clone();
    let workspaces = cid
        .store
        .workspaces_of_people(Some(name()), 0, usize::MAX >> 1)
        .await?;
    let base = project.git.base.as_str();
    let built = project.built_branches();
    let wanted = wanted(&built, &workspaces);
    let now = ask(cid, project, wanted.clone()).await?;
    if !now.commits.contains_key(base) {
        // One that lacks even this is not the repository that is meant.
        return Err(Fault::new(format!(
            "cannot find the branch {base} on {}",
            *project.git.url
        ))
        .hint("push it, or mend `base` or `url` under [git] in the project's file"));
    }
    let mut known = cid.store.followed(name()).await?;
    for branch in cid.store.branches_to_build_again(name()).await? {
        known.remove(&branch);
    }
    let mut follow_ups = Vec::new();
    let mut seen = changes::positions(&built, &workspaces, &now.commits);
    for change in changes::changes(&built, &workspaces, &known, &now.commits) {
        let Some(followed) = act::act(cid, project, &change).await else {
            continue;
        };
        if followed.later {
            seen.retain(|(branch, _)| *branch != followed.branch);
        }
        follow_ups.push(followed);
    }
    let astray = astray::cancel_astray(cid, project, &now.commits).await;
    follow_ups.extend(astray.unwrap_or_else(|error| {
        tracing::warn!(
            PROJECT = project.name.as_str(),
            "builds that are not wanted go on: {error}"
        );
        Vec::new()
    }));
    if cid.store.follow(name(), seen, wanted).await? {
        tracing::info!(PROJECT = project.name.as_str(), "its remote answers again");
    }
    Ok(follow_ups)
}

fn wanted(built: &[&str], workspaces: &[Workspace]) -> BTreeSet<String> {
    let branches = workspaces.iter().map(|workspace| workspace.branch.clone());
    let built = built.iter().map(|branch| (*branch).to_owned());
    branches.chain(built).collect()
}

/// One connection. The mirror's turn keeps a fetch from making the mirror at the same time.
async fn ask(cid: &Cid, project: &Project, wanted: BTreeSet<String>) -> Result<Branches, Fault> {
    let request = ListBranches {
        mirror: cid.layout.mirror(&project.name),
        remote: project.remote(),
        base: project.git.base.to_string(),
        wanted,
    };
    let who = Arc::new(Who::cid(Some(project.name.clone()), "look"));
    let mirror = Resource::Mirror(project.name.clone());
    let _turn = cid.sys.queues.take(mirror, &who, &cid.stopping).await?;
    // Held for the question alone: what waits before it, or follows from the answer, keeps no other project waiting.
    let _place = cid.looks.ask().await.cannot("ask the remote")?;
    let identity = Identity::Git(project.name.clone());
    let limit = ASK_LIMIT.min(*cid.settings.limits.git);
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    ask_once(helpers, identity, limit, stopping, request).await
}

/// The project, if it can be used.
fn usable(cid: &Cid, name: &ProjectName) -> Option<Arc<Project>> {
    cid.projects.get(name.as_str()).ok()
}
