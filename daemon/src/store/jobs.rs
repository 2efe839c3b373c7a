//! Jobs and their journal. A job's state, its workspace's row and the journal line that changes
//! them are written in one transaction.

use super::{
    Store, StoreError,
    about::about,
    builds::has_build,
    journal::append,
    quota::{Quota, Reached, reached},
    rows::{parse, text, time},
    workspaces::{by_id, by_owner, insert, is_free},
};
use crate::domain::{
    About, JobKind, JobState, Owner, ProjectName, Workspace, WorkspaceState,
    event::{Event, Failure, What},
};
use cid_protocol::budget::PLAN;
use rusqlite::{Connection, Row, Transaction, params};
use std::collections::HashMap;
use uuid::Uuid;

/// A job as the ledger has it, without its journal.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Which.
    pub id: Uuid,
    /// Its project.
    pub project: ProjectName,
    /// What it is about.
    pub about: About,
    /// What for.
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// The plan, as the engine stored it.
    pub plan: serde_json::Value,
    /// Why it is not Done.
    pub failure: Option<Failure>,
    /// When it was asked for.
    pub created_at: jiff::Timestamp,
    /// When it ended.
    pub ended_at: Option<jiff::Timestamp>,
    /// A push began it, and nobody waits for it.
    pub follows_push: bool,
}

/// The workspace that a new job is about.
pub enum Subject {
    /// A workspace yet to be made: its row is made in the same transaction, under the first free one of
    /// these names.
    New {
        /// The row under each name, best first; `id` and `job` are ignored.
        candidates: Vec<Workspace>,
        /// How many there may be.
        quota: Quota,
    },
    /// An existing workspace, and its new state.
    Existing(Box<Workspace>, WorkspaceState),
}

/// Makes a plan's JSON for a workspace that has its number.
pub type MakePlan = Box<dyn FnOnce(&Workspace) -> serde_json::Result<serde_json::Value> + Send>;

/// A job to be stored.
pub struct NewJob {
    /// Its id.
    pub id: Uuid,
    /// What for.
    pub kind: JobKind,
    /// About what.
    pub subject: Subject,
    /// Makes the stored plan, now that the workspace has its number.
    pub plan: MakePlan,
    /// A build that the plan needs.
    pub build: Option<i64>,
    /// The most jobs that may be live.
    pub limit: u32,
    /// A push begins it.
    pub follows_push: bool,
}

/// The result of a [`NewJob`].
pub enum Appended {
    /// It is journalled.
    Job(Box<Workspace>),
    /// The address has a workspace already; with its live job.
    Exists(Box<Workspace>, Option<Uuid>),
    /// Another job of the workspace is live.
    InTheWay(Uuid, JobKind),
    /// The workspace has gone meanwhile.
    Gone,
    /// The build has gone meanwhile.
    NoBuild,
    /// The limit on workspaces is reached.
    Full(Reached),
    /// Every candidate name is taken.
    NoName,
    /// The limit on live jobs is reached; the oldest ones.
    TooMany(Vec<JobRow>),
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Of this project.
    pub project: Option<ProjectName>,
    /// Of this owner's workspaces.
    pub owner: Option<Owner>,
    /// Older than this one.
    pub before: Option<Uuid>,
}

/// How many live jobs a refusal at the limit names.
const NAMED: u32 = 5;
const LIVE: &str = "state IN ('queued', 'running', 'undoing')";
const COLUMNS: &str = "SELECT id, workspace, owner, project, name, kind, state, plan, failure, created_at, ended_at, \
    (SELECT directory FROM workspaces WHERE workspaces.id = jobs.workspace), creator, \
    build, (SELECT directory FROM builds WHERE builds.id = jobs.build), follows_push FROM jobs";

fn job(row: &Row<'_>) -> Result<JobRow, StoreError> {
    Ok(JobRow {
        id: parse(row.get(0)?)?,
        project: parse(row.get(3)?)?,
        about: about(row)?,
        kind: parse(row.get(5)?)?,
        state: parse(row.get(6)?)?,
        plan: serde_json::from_str(&row.get::<_, String>(7)?)?,
        failure: row
            .get::<_, Option<String>>(8)?
            .map(|text| serde_json::from_str(&text))
            .transpose()?,
        created_at: parse(row.get(9)?)?,
        ended_at: row.get::<_, Option<String>>(10)?.map(parse).transpose()?,
        follows_push: row.get(15)?,
    })
}

pub(super) fn query(
    connection: &Connection,
    rest: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<JobRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {rest}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(job(row)?);
    }
    Ok(found)
}

fn live_job(connection: &Connection, workspace: i64) -> Result<Option<JobRow>, StoreError> {
    Ok(query(
        connection,
        &format!("WHERE workspace = ?1 AND {LIVE}"),
        [workspace],
    )?
    .pop())
}

/// The live job of what another job is about.
fn live_job_about(connection: &Connection, about: &About) -> Result<Option<JobRow>, StoreError> {
    match about {
        About::Workspace { id, .. } => live_job(connection, *id),
        About::Build { id, .. } => {
            let rest = format!("WHERE build = ?1 AND {LIVE}");
            Ok(query(connection, &rest, [id])?.pop())
        }
    }
}

impl Store {
    /// The live job of what another job is about.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn live_job_about(&self, about: About) -> Result<Option<JobRow>, StoreError> {
        self.read(move |c| live_job_about(c, &about)).await
    }

    /// Journals a new job: its row, its workspace's row or new state, and its first line.
    ///
    /// # Errors
    /// The ledger's; an obstacle is not an error but an [`Appended`].
    pub async fn submit(&self, new: NewJob) -> Result<Appended, StoreError> {
        self.write(move |t| submit(t, new)).await
    }

    /// Appends lines to a job's journal, and in the same transaction updates the job's and its workspace's
    /// rows. Returns the number of the last line.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn append(&self, id: Uuid, whats: Vec<What>) -> Result<u64, StoreError> {
        self.write(move |t| append(t, id, &whats)).await
    }

    /// A job.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn job(&self, id: Uuid) -> Result<Option<JobRow>, StoreError> {
        self.read(move |c| Ok(query(c, "WHERE id = ?1", [id.to_string()])?.pop()))
            .await
    }

    /// Jobs, newest first, at most `limit`.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn jobs(&self, filter: JobFilter, limit: usize) -> Result<Vec<JobRow>, StoreError> {
        self.read(move |c| {
            // Ids are UUIDs of version 7: they sort by time.
            let rest = "WHERE (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR owner = ?2) \
                        AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4";
            let project = filter.project.as_ref().map(ProjectName::as_str);
            let owner = filter.owner.as_ref().map(Owner::as_str);
            query(
                c,
                rest,
                params![
                    project,
                    owner,
                    filter.before.map(|id| id.to_string()),
                    limit
                ],
            )
        })
        .await
    }

    /// Jobs to continue, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn live_jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        self.read(|c| query(c, &format!("WHERE {LIVE} ORDER BY id"), []))
            .await
    }

    /// Jobs that are live, and those that began or ended at this time or later.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn jobs_since(&self, at: jiff::Timestamp) -> Result<Vec<JobRow>, StoreError> {
        let since = format!("WHERE {LIVE} OR created_at >= ?1 OR ended_at >= ?1 ORDER BY id");
        self.read(move |c| query(c, &since, [time(at)])).await
    }

    /// Jobs that wait for `retry`, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn stuck_jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        self.read(|c| query(c, "WHERE state = 'stuck' ORDER BY id", []))
            .await
    }

    /// Kind and begin of the live jobs of workspaces, by the workspace's number; without their plans.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn at_work(&self) -> Result<HashMap<i64, (JobKind, jiff::Timestamp)>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT workspace, kind, created_at FROM jobs WHERE {LIVE} AND workspace IS NOT NULL"
            ))?;
            let mut rows = statement.query([])?;
            let mut found = HashMap::new();
            while let Some(row) = rows.next()? {
                found.insert(row.get(0)?, (parse(row.get(1)?)?, parse(row.get(2)?)?));
            }
            Ok(found)
        })
        .await
    }

    /// The live job of a workspace.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn live_job(&self, workspace: i64) -> Result<Option<JobRow>, StoreError> {
        self.read(move |c| live_job(c, workspace)).await
    }

    /// A job's journal after a line: as many lines as fit into `bytes`, but at least the next one. Empty:
    /// there is nothing after it.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn events(
        &self,
        id: Uuid,
        after: u64,
        bytes: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT seq, at, data FROM events WHERE job = ?1 AND seq > ?2 ORDER BY seq";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query(params![id.to_string(), after])?;
            let mut events = Vec::new();
            let mut read = 0;
            while read < bytes
                && let Some(row) = rows.next()?
            {
                let data: String = row.get(2)?;
                read += data.len();
                events.push(event(id, row, &data)?);
            }
            Ok(events)
        })
        .await
    }

    /// The lines that determine a job's state: all but output and notes.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn milestones(&self, id: Uuid) -> Result<Vec<Event>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT seq, at, data FROM events WHERE job = ?1 \
                       AND data ->> '$.what' NOT IN ('output', 'note') ORDER BY seq";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query(params![id.to_string()])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(event(id, row, &row.get::<_, String>(2)?)?);
            }
            Ok(events)
        })
        .await
    }

    /// What a job noted for people, with the place of its step in the plan.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn notes(&self, id: Uuid) -> Result<Vec<(usize, String)>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT data ->> '$.step', data ->> '$.text' FROM events \
                       WHERE job = ?1 AND data ->> '$.what' = 'note' ORDER BY seq";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([id.to_string()])?;
            let mut notes = Vec::new();
            while let Some(row) = rows.next()? {
                notes.push((row.get(0)?, row.get(1)?));
            }
            Ok(notes)
        })
        .await
    }

    /// Forgets ended jobs older than this.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn forget_jobs(&self, before: jiff::Timestamp) -> Result<usize, StoreError> {
        self.write(move |t| {
            let old = "SELECT id FROM jobs WHERE ended_at < ?1";
            t.execute(
                &format!("DELETE FROM events WHERE job IN ({old})"),
                [time(before)],
            )?;
            Ok(t.execute(
                &format!("DELETE FROM jobs WHERE id IN ({old})"),
                [time(before)],
            )?)
        })
        .await
    }
}

fn event(job: Uuid, row: &Row<'_>, data: &str) -> Result<Event, StoreError> {
    Ok(Event {
        job,
        seq: row.get(0)?,
        at: parse(row.get(1)?)?,
        what: serde_json::from_str(data)?,
    })
}

/// The oldest live jobs, where there are as many as there may be.
pub(super) fn too_many(t: &Transaction<'_>, limit: u32) -> Result<Option<Vec<JobRow>>, StoreError> {
    let live: u32 = t.query_row(
        &format!("SELECT count(*) FROM jobs WHERE {LIVE}"),
        [],
        |row| row.get(0),
    )?;
    if live < limit {
        return Ok(None);
    }
    let oldest = format!("WHERE {LIVE} ORDER BY id LIMIT ?1");
    Ok(Some(query(t, &oldest, [NAMED])?))
}

fn submit(t: &Transaction<'_>, new: NewJob) -> Result<Appended, StoreError> {
    if let Some(oldest) = too_many(t, new.limit)? {
        return Ok(Appended::TooMany(oldest));
    }
    if let Some(build) = new.build
        && !has_build(t, build)?
    {
        return Ok(Appended::NoBuild);
    }
    let (workspace, prior) = match new.subject {
        Subject::New { candidates, quota } => {
            let Some(first) = candidates.first() else {
                return Ok(Appended::NoName);
            };
            if let Some(existing) = by_owner(t, &first.project, &first.owner)? {
                let job = live_job(t, existing.id)?.map(|job| job.id);
                return Ok(Appended::Exists(Box::new(existing), job));
            }
            if let Some(reached) = reached(t, first, quota)? {
                return Ok(Appended::Full(reached));
            }
            let mut free = None;
            for draft in candidates {
                if is_free(t, &draft)? {
                    free = Some(draft);
                    break;
                }
            }
            let Some(mut workspace) = free else {
                return Ok(Appended::NoName);
            };
            workspace.job = new.id;
            workspace.id = insert(t, &workspace)?;
            (workspace, None)
        }
        Subject::Existing(known, state) => {
            let Some(mut workspace) = by_id(t, known.id)? else {
                return Ok(Appended::Gone);
            };
            if let Some(job) = live_job(t, workspace.id)? {
                return Ok(Appended::InTheWay(job.id, job.kind));
            }
            let prior = workspace.state;
            // It may have fallen asleep since.
            let state = if state == known.state { prior } else { state };
            workspace.state = state;
            workspace.job = new.id;
            t.execute(
                "UPDATE workspaces SET state = ?2, job = ?3 WHERE id = ?1",
                params![workspace.id, text(&state)?, new.id.to_string()],
            )?;
            (workspace, Some(prior))
        }
    };
    let plan = (new.plan)(&workspace)?.to_string();
    PLAN.check(plan.len(), "this job")?;
    t.execute(
        "INSERT INTO jobs (id, workspace, owner, project, name, kind, state, prior_state, plan, creator, created_at, \
         follows_push) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?7, ?8, ?9, ?10, ?11)",
        params![
            new.id.to_string(),
            workspace.id,
            workspace.owner.as_str(),
            workspace.project.as_str(),
            workspace.name.as_str(),
            text(&new.kind)?,
            prior.as_ref().map(text).transpose()?,
            plan,
            text(&workspace.creator)?,
            time(jiff::Timestamp::now()),
            new.follows_push,
        ],
    )?;
    append(
        t,
        new.id,
        &[What::Job {
            state: JobState::Queued,
        }],
    )?;
    Ok(Appended::Job(Box::new(workspace)))
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
