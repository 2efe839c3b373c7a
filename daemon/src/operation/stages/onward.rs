//! Builds that go on by themselves, and what becomes of them where they came.

use super::{Place, builds};
use crate::{
    cid::Cid,
    config::{Project, Promote, Stage},
    domain::{Build, BuildState, Deployment, Name, WorkspaceState},
    error::Error,
    health::{Condition, Health, Seen},
    system::helpers::{Identity, ask_once},
};
use cid_protocol::request::IsAncestor;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait for a page that a build is carried on by: longer than it may take to answer.
const SOAK_LOOK: Duration = Duration::from_secs(6);
/// How long an answer about all stages may wait for their pages.
const LOOK: Duration = Duration::from_secs(1);
/// For how long a build that came by itself is watched: its author is at hand no longer.
const WATCHED: Duration = Duration::from_hours(1);
/// So long it must not be well before anybody is told: a process that ends once is started again.
const ILL: Duration = Duration::from_secs(10);

/// The builds that may go on by themselves now, with their next stage: the newest that a push made of a stage's branch,
/// and where `promote` is automatic what has run well in the stage before for long enough. None that was tried there.
///
/// # Errors
/// The ledger's.
pub async fn onward(cid: &Cid, project: &Project) -> Result<Vec<(Name, u32)>, Error> {
    let all = builds(cid, project).await?;
    let pushed = cid.store.pushed_builds(project.name.clone()).await?;
    let mut found = Vec::new();
    for (name, stage) in &project.stages {
        let place = Place::of(cid, project, name).await?;
        let next = match &stage.after {
            None => {
                // A person's is as good as the push's own where it is the first of its commit. Others were asked for
                // until one passed, and go where a person promotes them.
                let is_push = |build: &&Build| {
                    pushed.contains(&build.number)
                        || place.head.as_ref() == Some(&build.source.commit)
                            && !is_again(build, &all)
                };
                let pushed: Vec<Build> = all.iter().filter(is_push).cloned().collect();
                place.newest(&pushed).cloned()
            }
            Some(after) if stage.promote == Promote::Auto => {
                let there = Place::of(cid, project, after).await?;
                let running = there.running();
                let next = all.iter().find(|build| Some(build.number) == running);
                match next {
                    // Its page is asked for while it soaks, and only then.
                    Some(next)
                        if may_go_on(cid, &place, next).await?
                            && soaked(cid, &there, stage).await? =>
                    {
                        Some(next.clone())
                    }
                    _ => None,
                }
            }
            Some(_) => None,
        };
        if let Some(build) = next
            && may_go_on(cid, &place, &build).await?
            && is_on_its_branch(cid, project, name, &build).await?
        {
            found.push(((**name).clone(), build.number));
        }
    }
    Ok(found)
}

/// Whether a build may come to a stage by itself, by what is known of both.
async fn may_go_on(cid: &Cid, place: &Place, build: &Build) -> Result<bool, Error> {
    Ok(place.is_newer(build)
        && place.refuse(build, false).is_ok()
        && place.refuse_live_job(cid).await.is_ok()
        && !cid
            .store
            .was_tried(place.name.clone(), build.clone())
            .await?)
}

/// Whether the same was built before.
fn is_again(build: &Build, all: &[Build]) -> bool {
    all.iter().any(|other| {
        other.number < build.number
            && other.source.commit == build.source.commit
            && other.recipe == build.recipe
            && !matches!(other.state, BuildState::Error | BuildState::Superseded)
    })
}

/// Whether a build's commit is still on the branch whose pushes lead to a stage: what was pushed away by force goes no
/// further by itself.
async fn is_on_its_branch(
    cid: &Cid,
    project: &Project,
    stage: &Name,
    build: &Build,
) -> Result<bool, Error> {
    let followed = cid.store.followed(project.name.clone()).await?;
    let at = followed.get(project.branch_that_leads_to(stage));
    // Nobody looks at the remote: then nobody can tell.
    let Some(at) = at else {
        return Ok(true);
    };
    let Some(head) = at.commit.clone() else {
        return Ok(false);
    };
    let commit = &build.source.commit;
    if head == *commit {
        return Ok(true);
    }
    if cid.looks.is_astray(&project.name, build.number, &head) {
        return Ok(false);
    }
    let ask = IsAncestor {
        mirror: cid.layout.mirror(&project.name),
        commit: commit.clone(),
        of: head.clone(),
    };
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    let (identity, limit) = (
        Identity::Git(project.name.clone()),
        *cid.settings.limits.step,
    );
    let is_there = ask_once(helpers, identity, limit, stopping, ask).await;
    let is_there = is_there.unwrap_or_else(|fault| {
        tracing::debug!(PROJECT = project.name.as_str(), "{fault}");
        false
    });
    if !is_there {
        cid.looks.set_astray(&project.name, build.number, &head);
    }
    Ok(is_there)
}

/// Whether what runs in a stage has run well for as long as the next one asks.
async fn soaked(cid: &Cid, there: &Place, stage: &Stage) -> Result<bool, Error> {
    let (Some(workspace), Some(running)) = (&there.workspace, there.past.first()) else {
        return Ok(false);
    };
    let soak = stage.soak.as_ref().map_or(Duration::ZERO, |soak| **soak);
    // What is about to be another one, or was left half-way, is no recommendation.
    let is_settled = workspace.state == WorkspaceState::Ready
        && cid.store.live_job(workspace.id).await?.is_none();
    // An earlier look is no reason to promote it.
    let seen = cid.health.look_newly(workspace, SOAK_LOOK).await;
    let is_well = is_settled
        && seen
            .as_ref()
            .is_some_and(|seen| seen.health.condition == Condition::Up);
    let (project, name, job) = (&there.project.name, &there.name, running.job);
    if is_settled {
        let ill = seen.as_ref().and_then(|seen| why_ill(&seen.health));
        cid.looks.ill_for(project, name, job, ill, Instant::now());
    }
    let well = cid
        .looks
        .well_for(project, name, job, is_well, Instant::now());
    // A process that was started again meanwhile was not well before.
    let now = Timestamp::now();
    let starts = seen.iter().flat_map(|seen| &seen.processes);
    let starts = starts.filter_map(|process| process.since);
    let ran = starts.map(|since| Duration::try_from(now.duration_since(since)).unwrap_or_default());
    let ran = ran.min().unwrap_or(well);
    Ok(is_well && well.min(ran) >= soak)
}

/// What is wrong; `None`: nothing, or it cannot be told yet.
fn why_ill(health: &Health) -> Option<String> {
    match health.condition {
        Condition::Crashing | Condition::Failing | Condition::Down => {
            Some(match health.message.as_str() {
                "" => "it does not run".to_owned(),
                message => message.to_owned(),
            })
        }
        Condition::Unknown | Condition::Up | Condition::Starting => None,
    }
}

/// Why the build that runs in the stage before has not come to this one by itself yet; `None`: none is to.
pub(super) async fn held(
    cid: &Cid,
    place: &Place,
    builds: &[Build],
) -> Result<Option<String>, Error> {
    let stage = &place.stage;
    let Some(after) = stage
        .after
        .as_ref()
        .filter(|_| stage.promote == Promote::Auto)
    else {
        return Ok(None);
    };
    let there = Place::of(cid, &place.project, after).await?;
    let Some(running) = there.past.first() else {
        return Ok(None);
    };
    let next = builds.iter().find(|build| build.number == running.build);
    let Some(build) = next else {
        return Ok(None);
    };
    if !may_go_on(cid, place, build).await? {
        return Ok(None);
    }
    let (number, name, after) = (build.number, &place.name, &there.name);
    let soak = stage.soak.as_ref().map_or(0, |soak| soak.as_secs());
    let ill = cid.looks.is_ill(&there.project.name, after, running.job);
    Ok(Some(match ill {
        None => {
            format!("build {number} goes on by itself once it has run well in {after} for {soak} s")
        }
        Some(why) => format!(
            "build {number} did not pass its soak in {after}: {why}; it goes on by itself once it has run well there for {soak} s, cictl promote {name} {number} takes it as it is"
        ),
    }))
}

/// Writes down what does not run well any more of what came to a stage by itself lately, for those who want to be
/// told; each deployment once.
///
/// # Errors
/// The ledger's.
pub async fn note_fallen(cid: &Cid, project: &Project) -> Result<(), Error> {
    note_fallen_for(cid, project, ILL).await
}

/// The same of what has not been well for this long.
pub(crate) async fn note_fallen_for(
    cid: &Cid,
    project: &Project,
    patience: Duration,
) -> Result<(), Error> {
    if project.notify.is_empty() {
        return Ok(());
    }
    for name in project.stages.keys() {
        let row = cid.store.stage(project.name.clone(), (**name).clone());
        let Some(row) = row.await?.filter(|row| row.state == WorkspaceState::Ready) else {
            continue;
        };
        let Some(running) = cid.store.deployments(row.id, 1).await?.pop() else {
            continue;
        };
        if is_watched(cid, &running).await? && cid.store.live_job(row.id).await?.is_none() {
            let seen = cid.health.look(&[&row], LOOK).await.pop();
            let ill = ill_for(cid, project, name, &running, seen);
            if ill.is_some_and(|ill| ill >= patience) {
                // What was seen a while ago may be over.
                let seen = cid.health.look_newly(&row, SOAK_LOOK).await;
                if let Some(why) = seen.and_then(|seen| why_ill(&seen.health)) {
                    cid.store.set_fell(running.job, why).await?;
                }
            }
        }
    }
    Ok(())
}

/// Whether a deployment is one that a push led to, not long ago, and that nobody was told of as ill.
async fn is_watched(cid: &Cid, running: &Deployment) -> Result<bool, Error> {
    let watched = SignedDuration::try_from(WATCHED).unwrap_or(SignedDuration::MAX);
    let is_new = Timestamp::now().duration_since(running.at) < watched;
    if running.fell || !is_new {
        return Ok(false);
    }
    let job = cid.store.job(running.job).await?;
    Ok(job.is_some_and(|job| job.follows_push))
}

/// For how long what runs in a stage has been seen not to be well.
fn ill_for(
    cid: &Cid,
    project: &Project,
    name: &Name,
    running: &Deployment,
    seen: Option<Seen>,
) -> Option<Duration> {
    let ill = seen.and_then(|seen| why_ill(&seen.health));
    let looks = &cid.looks;
    looks.ill_for(&project.name, name, running.job, ill, Instant::now())
}
