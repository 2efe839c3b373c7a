//! A visitor came to a workspace that did not answer: one that is asleep is woken for them.

use super::{ByItself, Named, away::start};
use crate::{
    authz::{Action, Claim},
    cid::Cid,
    domain::{JobKind, JobState, UnitName, Workspace, WorkspaceState},
    error::Error,
    step::is_away,
};
use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// How long a visitor waits; nginx waits somewhat longer for the front.
const LIMIT: Duration = Duration::from_secs(55);
const PAUSE: Duration = Duration::from_millis(15);
/// An app that did not come up is not tried again for its visitors within this time.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// What a visitor can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Nothing was stopped: what the app does is its own.
    Runs,
    /// It was asleep, or on its way there, and can be asked now.
    Woken,
    /// Somebody stopped it.
    Stopped,
    /// It cannot be asked now.
    Silent,
}

/// Waits until the app can be asked, and wakes it first where it is asleep.
///
/// # Errors
/// There is no such workspace, or the ledger fails.
pub async fn visit(cid: &Cid, unit: &UnitName) -> Result<Visit, Error> {
    let begin = Instant::now();
    let mut outcome = Visit::Runs;
    loop {
        let workspace = cid.store.workspace_of(unit.clone()).await?;
        let workspace = workspace.ok_or_else(|| Error::not_found("there is no such workspace"))?;
        // In this order: without a live job what is read after it is settled.
        let is_busy = cid.store.live_job(workspace.id).await?.is_some();
        if !is_away(&cid.layout, unit) {
            return Ok(outcome);
        }
        outcome = Visit::Woken;
        if !is_busy {
            let now = cid.store.workspace(workspace.id).await?;
            match now.map(|now| (now.state, now)) {
                Some((WorkspaceState::Asleep, now)) => {
                    if !wake(cid, &now).await? {
                        return Ok(Visit::Silent);
                    }
                }
                Some((WorkspaceState::Stopped, _)) => return Ok(Visit::Stopped),
                // A job has ended this moment.
                Some((WorkspaceState::Ready, _)) if begin.elapsed() < PAUSE * 100 => {}
                _ => return Ok(Visit::Silent),
            }
        }
        if begin.elapsed() > LIMIT || cid.stopping.is_cancelled() {
            return Ok(Visit::Silent);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Begins to start its processes; `false`: they did not come up a moment ago, or cannot be started.
async fn wake(cid: &Cid, workspace: &Workspace) -> Result<bool, Error> {
    let last = cid.store.job(workspace.job).await?;
    let has_failed = last.is_some_and(|job| {
        let since = |at| Timestamp::now().duration_since(at);
        job.kind == JobKind::Start
            && job.state != JobState::Done
            && job.ended_at.is_none_or(|at| since(at) < AGAIN)
    });
    if has_failed {
        return Ok(false);
    }
    let named = Named {
        owner: workspace.owner.clone(),
        project: workspace.project.to_string(),
    };
    let claim = Claim::of_trigger(workspace.project.clone(), Action::Restart);
    match start(cid, claim, &named).await {
        Ok(Some(begun)) => {
            let began = ByItself {
                by: "visitor",
                rpc: "/cid.v1.Workspaces/Start",
                action: Action::Restart,
                project: &workspace.project,
                workspace: Some(&begun.workspace),
                build: None,
                job: begun.job,
            };
            began.record(cid).await;
            Ok(true)
        }
        // Somebody else was first.
        Ok(None) | Err(Error::JobInTheWay { .. }) => Ok(true),
        Err(error) => {
            tracing::warn!("{} is not woken: {error}", workspace.unit());
            Ok(false)
        }
    }
}
