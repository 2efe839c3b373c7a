//! Workspaces as they are now.

use super::{
    Named,
    failed::{FailedDeployment, failed_deployment, left_alone},
    known_project, resolve,
};
use crate::{
    authz::Viewer,
    cid::Cid,
    config::Values,
    domain::{JobKind, Workspace},
    error::Error,
    health::{Condition, Health, Seen},
    step::{look_at, not_in_effect},
    system::{
        helpers::{Identity, WorkspaceUser, ask_once},
        procs,
        supervisor::Process,
    },
};
use cid_protocol::run_file::RunFile;
use jiff::Timestamp;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How long an answer about one workspace may wait for its page.
const SHOW_LIMIT: Duration = Duration::from_secs(3);
/// The same for an answer about all workspaces. A later page is known to the next caller.
const LIST_LIMIT: Duration = Duration::from_millis(1_500);
/// Time limit for finding the state of a clone.
const GLANCE: Duration = Duration::from_secs(10);

/// A workspace as it is now.
#[derive(Debug)]
pub struct Shown {
    /// Its row.
    pub workspace: Workspace,
    /// Its health, and its processes.
    pub seen: Seen,
    /// The memory of each process and its descendants, in bytes; 0 if it does not run.
    pub memory: Vec<u64>,
    /// The state of its clone, if asked for and to be had.
    pub standing: Option<Standing>,
    /// Its newest deployment, where that failed.
    pub failed: Option<FailedDeployment>,
}

/// The state of a workspace's clone.
#[derive(Debug)]
pub struct Standing {
    /// The commit of HEAD.
    pub head: String,
    /// The branch of HEAD.
    pub branch: String,
    /// How many commits HEAD is ahead of base and behind it.
    pub ahead_behind: Option<(usize, usize)>,
    /// What was changed and is not in effect yet.
    pub stale: Vec<String>,
    /// The first line of the commit's message.
    pub subject: String,
    /// How many files differ from the commit; `None`: it cannot be told.
    pub uncommitted: Option<usize>,
    /// Why the newest deployment left the tree as it was, and when; `None` where the tree has all that the remote has.
    pub left_alone: Option<(String, Timestamp)>,
}

/// One workspace; with the state of its clone if `look` says so.
///
/// # Errors
/// There is no such workspace, or it is not for this viewer to see.
pub async fn show(cid: &Cid, viewer: &Viewer, named: &Named, look: bool) -> Result<Shown, Error> {
    // Before the ledger is asked: whether there is one is not for everybody to know either.
    viewer.may_see(named.owner.person())?;
    let workspace = resolve(cid, named).await?;
    let seen = async {
        let mut looked = look_at_health(cid, &[&workspace], SHOW_LIMIT).await;
        let seen = looked.pop().unwrap_or_default();
        let memory = memory_of(&seen.processes).await;
        (seen, memory)
    };
    let standing = async {
        match look {
            true => standing(cid, &workspace).await,
            false => None,
        }
    };
    let failed = failed_deployment(cid, &workspace);
    let ((seen, memory), standing, failed) = tokio::join!(seen, standing, failed);
    Ok(Shown {
        failed: failed?,
        workspace,
        seen,
        memory,
        standing,
    })
}

/// Of those that the viewer may see at most `limit` workspaces after the one with this number, of one project or (empty) all.
///
/// # Errors
/// There is no such project, or the ledger fails.
pub async fn list(
    cid: &Cid,
    viewer: &Viewer,
    project: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<(Workspace, Seen)>, Error> {
    let project = match project {
        "" => None,
        name => Some(known_project(cid, name).await?),
    };
    let page = match viewer.only() {
        None => {
            cid.store
                .workspaces_of_people(project, after, limit)
                .await?
        }
        Some(email) => {
            let mut own = cid.store.workspaces_of(email.clone().into()).await?;
            own.retain(|w| w.id > after && project.as_ref().is_none_or(|p| w.project == *p));
            own.sort_by_key(|w| w.id);
            own.truncate(limit);
            own
        }
    };
    let all: Vec<&Workspace> = page.iter().collect();
    let looked = look_at_health(cid, &all, LIST_LIMIT).await;
    Ok(page.into_iter().zip(looked).collect())
}

/// The health of these, in their order. What a job does with processes is not taken for trouble of theirs.
pub(super) async fn look_at_health(cid: &Cid, all: &[&Workspace], limit: Duration) -> Vec<Seen> {
    let mut looked = cid.health.look(all, limit).await;
    let jobs = cid.store.at_work().await.unwrap_or_default();
    for (workspace, seen) in all.iter().zip(&mut looked) {
        if let Some((kind, since)) = jobs.get(&workspace.id) {
            excuse(&mut seen.health, *kind, *since);
        }
    }
    looked
}

/// Trouble while a job stops and starts the processes is the job's.
fn excuse(health: &mut Health, kind: JobKind, since: Timestamp) {
    let changes = matches!(kind, JobKind::Deploy | JobKind::Restart);
    let is_up = matches!(health.condition, Condition::Up | Condition::Starting);
    if changes && !is_up {
        *health = Health {
            condition: Condition::Starting,
            message: format!("a {kind} job is at work"),
            since: Some(since),
        };
    }
}

/// What each of these workspaces has in memory, in bytes.
pub async fn memory_of_each(all: &[(Workspace, Seen)]) -> Vec<u64> {
    let processes: Vec<Process> = all
        .iter()
        .flat_map(|(_, seen)| seen.processes.clone())
        .collect();
    let mut memory = memory_of(&processes).await.into_iter();
    let own = |(_, seen): &(Workspace, Seen)| memory.by_ref().take(seen.processes.len()).sum();
    all.iter().map(own).collect()
}

async fn memory_of(processes: &[Process]) -> Vec<u64> {
    let pids: Vec<Option<u32>> = processes.iter().map(|process| process.pid).collect();
    let count = pids.len();
    let memory = spawn_blocking(move || procs::memory_of(&pids)).await;
    memory.unwrap_or_else(|_| vec![0; count])
}

/// The state of a workspace's clone, and what is not in effect; `None` if it cannot be determined.
async fn standing(cid: &Cid, workspace: &Workspace) -> Option<Standing> {
    if !workspace.state.is_whole() || workspace.is_stage() {
        return None;
    }
    let project = cid.projects.get(workspace.project.as_str()).ok()?;
    let identity = Identity::Workspace(WorkspaceUser::of(workspace));
    let run_file = RunFile::read(&cid.layout.run_file(&workspace.instance())).ok();
    let request = look_at(workspace, &project, run_file.as_ref());
    let (helpers, cancel) = (cid.sys.helpers.as_ref(), cid.stopping.clone());
    let look = ask_once(helpers, identity, GLANCE, cancel, request).await;
    let look = look.inspect_err(|fault| tracing::debug!("{fault}")).ok()?;
    let number = cid.store.number_of(workspace.id).await.ok()?;
    let values = Values::of(&project, workspace, number);
    let stale = run_file.map(|run_file| not_in_effect(&project, &values, &run_file, &look.changed));
    let left_alone = match look.ahead_behind {
        Some((_, 0)) => None,
        _ => left_alone(cid, workspace).await,
    };
    Some(Standing {
        left_alone,
        head: look.head.unwrap_or_default(),
        branch: look.branch.unwrap_or_default(),
        ahead_behind: look.ahead_behind,
        stale: stale.unwrap_or_default(),
        subject: look.subject,
        uncommitted: look.uncommitted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_excused_while_a_job_changes_processes() {
        let conditions = [
            (Condition::Up, false),
            (Condition::Starting, false),
            (Condition::Down, true),
            (Condition::Unknown, true),
            (Condition::Failing, true),
            (Condition::Crashing, true),
        ];
        let since = Timestamp::UNIX_EPOCH;
        for (condition, is_trouble) in conditions {
            for &kind in JobKind::ALL {
                let before = Health {
                    condition,
                    message: "as it was".into(),
                    since: None,
                };
                let mut health = before.clone();
                excuse(&mut health, kind, since);
                let changes = matches!(kind, JobKind::Deploy | JobKind::Restart);
                match is_trouble && changes {
                    false => assert_eq!(health, before, "{kind}"),
                    true => assert_eq!(
                        (health.condition, health.since, health.message),
                        (
                            Condition::Starting,
                            Some(since),
                            format!("a {kind} job is at work")
                        )
                    ),
                }
            }
        }
    }
}
