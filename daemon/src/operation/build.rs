//! Builds: asked for, shown, removed.

use super::create::refuse_full_disk;
use crate::{
    authz::{Actor, Claim, Permit, Subject},
    cid::{Cid, streams::Kind},
    config::Project,
    domain::{Build, BuildState, Creator, JobKind, Opener, ProjectName, Source, Verdict},
    error::Error,
    keeper, plan,
    store::{Keeps, KeptBy},
    system::helpers::{Identity, ask_once},
};
use cid_protocol::{budget::WATCH_BATCH, fault::Fault, request::FindCommit};
use futures::stream::{self, Stream};
use std::{
    collections::VecDeque, fs::File, io::Read as _, path::PathBuf, sync::Arc, time::Duration,
};
use uuid::Uuid;

/// The pause between two looks for old builds.
const TIDY_PAUSE: Duration = Duration::from_hours(1);

/// Begins to build a commit; the second value is false where there is a build of it already. An empty
/// `revision` is the base branch.
///
/// # Errors
/// The repository cannot be reached or has no such commit, the disk is full, or the actor may not.
pub async fn build(
    cid: &Cid,
    claim: Claim,
    project: &str,
    revision: &str,
    again: bool,
) -> Result<(Build, bool), Error> {
    let project = cid.projects.named_or_only(project)?;
    let permit = bind_builds(claim, &project.name).await?;
    refuse_full_disk(cid, &project, "a build")?;
    let base = project.git.base.as_str();
    let limits = &cid.settings.limits;
    cid.engine.fetch(&project, base, *limits.git).await?;
    let revision = if revision.is_empty() { base } else { revision };
    let find = FindCommit {
        mirror: cid.layout.mirror(&project.name),
        revision: revision.to_owned(),
    };
    let identity = Identity::Git(project.name.clone());
    let (helpers, stopping) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    let found = ask_once(helpers, identity, *limits.step, stopping, find).await?;
    let found = found.ok_or_else(|| Error::NotFound {
        message: format!(
            "the repository of {} has no branch, tag or commit {revision:?}",
            project.name
        ),
        hint: Some("push it first; a commit takes at least 7 digits of its name".into()),
    })?;
    // It may have been removed while its server was asked, which no other project waits for.
    let _turn = cid.turns.creating.read().await;
    let project = cid.projects.get(project.name.as_str())?;
    tidy(cid, &project).await?;
    let draft = Build {
        id: 0,
        project: project.name.clone(),
        number: 0,
        source: Source {
            commit: found.commit,
            reference: revision.to_owned(),
            subject: found.subject,
            author: found.author,
        },
        recipe: plan::recipe_of(&project),
        state: BuildState::Queued,
        verdict: None,
        digest: None,
        packages: None,
        directory: cid.layout.builds(&project.name),
        created_at: jiff::Timestamp::now(),
        took_ms: None,
        job: Uuid::now_v7(),
        superseded_by: None,
    };
    let creator = match permit.actor() {
        Actor::Trigger(..) => Creator::Trigger,
        actor => Creator::User(actor.uid()),
    };
    let call = permit.call();
    let layout = Arc::clone(&cid.layout);
    let plan = move |build: &Build| plan::build(&layout, &project, build);
    let submitted = cid
        .engine
        .submit_build(permit, JobKind::Build, draft, again, creator, plan);
    let (build, is_new) = submitted.await?;
    if let Some(call) = call {
        call.concerns_build(build.number);
        if is_new {
            call.began_build(build.job);
        }
    }
    Ok((build, is_new))
}

/// A build by its number.
///
/// # Errors
/// No such build.
pub async fn show_build(cid: &Cid, project: &str, number: u32) -> Result<Build, Error> {
    let project = cid.projects.named_or_only(project)?;
    let mut build = find(cid, &project.name, number).await?;
    if let Some(newer) = build
        .superseded_by
        .filter(|_| build.state == BuildState::Superseded)
    {
        build.verdict = Some(Verdict {
            message: format!(
                "build {newer}, of a newer push to {}, took its place",
                build.source.reference
            ),
            ..Verdict::default()
        });
    }
    if build.state == BuildState::Error && build.verdict.is_none() {
        // Its job says why there are no files to test.
        let failure = cid.store.job(build.job).await?.and_then(|job| job.failure);
        build.verdict = failure.map(|failure| Verdict {
            message: failure.message,
            ..Verdict::default()
        });
    }
    Ok(build)
}

async fn find(cid: &Cid, project: &ProjectName, number: u32) -> Result<Build, Error> {
    let found = cid.store.build(project.clone(), number).await?;
    found.ok_or_else(|| Error::NotFound {
        message: format!("{project} has no build {number}"),
        hint: Some("cictl builds shows them".into()),
    })
}

/// All that a build's commands printed, and then its tests, in pieces; each is read when it is wanted.
///
/// # Errors
/// There is no such build, the actor may not read it, or reads as many logs as it may.
pub async fn build_output(
    cid: &Cid,
    claim: Claim,
    project: &str,
    number: u32,
) -> Result<impl Stream<Item = Result<Vec<u8>, Fault>> + Send + use<>, Error> {
    let project = cid.projects.named_or_only(project)?;
    let permit = bind_builds(claim, &project.name).await?;
    let build = find(cid, &project.name, number).await?;
    let opener = Opener::new(permit.uid(), permit.actor().person());
    let place = cid.streams.begin(opener, Kind::Logs)?;
    let files = [crate::step::BUILD_LOG, crate::step::OUTPUT];
    let paths = VecDeque::from(files.map(|file| build.directory.join(file)));
    let begin = (paths, None, place);
    Ok(stream::unfold(begin, |(mut paths, mut open, place)| {
        let piece = next_piece(&mut paths, &mut open);
        std::future::ready(piece.map(|piece| (piece, (paths, open, place))))
    }))
}

/// The next piece of the first of these files that has one. Without commands there is no file.
fn next_piece(
    paths: &mut VecDeque<PathBuf>,
    open: &mut Option<(PathBuf, File)>,
) -> Option<Result<Vec<u8>, Fault>> {
    loop {
        let Some((path, file)) = open else {
            let path = paths.pop_front()?;
            *open = File::open(&path).ok().map(|file| (path, file));
            continue;
        };
        let mut chunk = vec![0; WATCH_BATCH.most];
        match file.read(&mut chunk) {
            Ok(0) => *open = None,
            Ok(read) => {
                chunk.truncate(read);
                return Some(Ok(chunk));
            }
            Err(error) => {
                let fault = Fault::io("read", path, error);
                paths.clear();
                *open = None;
                return Some(Err(fault));
            }
        }
    }
}

/// Removes a build with its files.
///
/// # Errors
/// No such build, a job of it is live, or the actor may not.
pub async fn delete_build(
    cid: &Cid,
    claim: Claim,
    project: &str,
    number: u32,
) -> Result<(), Error> {
    let project = cid.projects.named_or_only(project)?;
    let _permit = bind_builds(claim, &project.name).await?;
    let build = find(cid, &project.name, number).await?;
    let kept_by = cid
        .store
        .forget_build(build.id, Some(keeps(&project)))
        .await?;
    let conflict = |message, hint| {
        Err(Error::Conflict {
            message,
            hint: Some(hint),
        })
    };
    match kept_by {
        None => {}
        Some(KeptBy::Stage(stage)) => {
            return conflict(
                format!(
                    "{stage} runs build {number} of {}, or can go back to it",
                    build.project
                ),
                "deploy others there, or lower `keep` of the stage".into(),
            );
        }
        Some(KeptBy::Job(job)) => {
            return conflict(
                format!(
                    "build {number} of {} is being made or deployed",
                    build.project
                ),
                format!("end its job first: cictl jobs cancel {job}"),
            );
        }
    }
    Ok(keeper::purge_build(cid, &build.project, number).await?)
}

async fn bind_builds(claim: Claim, project: &ProjectName) -> Result<Permit, Error> {
    claim.bind(Subject::of_project(project)).await
}

/// Removes old builds of all projects once an hour, until the daemon stops.
pub async fn tidy_builds_forever(cid: Cid) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TIDY_PAUSE) => {}
            () = cid.stopping.cancelled() => return,
        }
        for project in cid.projects.all().values().flatten() {
            if let Err(error) = tidy(&cid, project).await {
                tracing::warn!(PROJECT = project.name.as_str(), "old builds stay: {error}");
            }
        }
    }
}

/// Removes the project's builds and templates that nothing keeps, and folders that the ledger has forgotten.
async fn tidy(cid: &Cid, project: &Project) -> Result<(), Error> {
    keeper::tidy_templates(cid, &project.name).await?;
    Ok(keeper::tidy_builds(cid, &project.name, &keeps(project)).await?)
}

/// How many builds each stage of a project can go back to.
pub(super) fn keeps(project: &Project) -> Keeps {
    let stages = project.stages.iter();
    stages
        .map(|(name, stage)| ((**name).clone(), stage.keep.get()))
        .collect()
}
