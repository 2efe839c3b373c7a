//! Lines of a job's journal, and the states that follow from them.

use super::{
    builds,
    db::StoreError,
    notices,
    rows::{parse, text, time},
};
use crate::domain::{Becomes, JobKind, JobState, WorkspaceState, event::What};
use rusqlite::{OptionalExtension as _, Transaction, params};
use uuid::Uuid;

/// Writes down lines of a job's journal, and what follows from them for its row and its workspace's.
pub(super) fn append(t: &Transaction<'_>, id: Uuid, whats: &[What]) -> Result<u64, StoreError> {
    let key = id.to_string();
    let sql = "SELECT coalesce(max(seq), 0) FROM events WHERE job = ?1";
    let mut seq: u64 = t.prepare_cached(sql)?.query_row([&key], |row| row.get(0))?;
    let at = time(jiff::Timestamp::now());
    for what in whats {
        seq += 1;
        t.prepare_cached("INSERT INTO events (job, seq, at, data) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![key, seq, at, serde_json::to_string(what)?])?;
        match what {
            What::Job { state } => enter(t, &key, *state, &at)?,
            What::Failed { failure } => {
                let sql = "UPDATE jobs SET failure = ?2 WHERE id = ?1";
                t.execute(sql, params![key, serde_json::to_string(failure)?])?;
                enter(t, &key, JobState::Undoing, &at)?;
            }
            // A step that is undone again after a crash reports it again.
            What::Kept { text, .. } => {
                let sql = "UPDATE jobs SET failure = json_set(failure, '$.message', \
                           failure ->> '$.message' || '; ' || ?2) \
                           WHERE id = ?1 AND instr(failure ->> '$.message', ?2) = 0";
                t.execute(sql, params![key, text])?;
            }
            What::Retried => retried(t, &key)?,
            _ => {}
        }
    }
    Ok(seq)
}

/// Applies a job's new state to its row and its workspace's row.
fn enter(t: &Transaction<'_>, key: &str, state: JobState, at: &str) -> Result<(), StoreError> {
    t.execute(
        "UPDATE jobs SET state = ?2 WHERE id = ?1",
        params![key, text(&state)?],
    )?;
    if state.is_ended() {
        t.execute(
            "UPDATE jobs SET ended_at = ?2 WHERE id = ?1",
            params![key, at],
        )?;
    }
    notices::happened(t, key, state, at)?;
    type Found = (Option<i64>, String, Option<String>, Option<i64>);
    let sql = "SELECT workspace, kind, prior_state, build FROM jobs WHERE id = ?1";
    let found: Option<Found> = t
        .query_row(sql, [key], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let (workspace, kind, prior) = match found {
        Some((_, _, _, Some(build))) => return builds::enter(t, build, state),
        Some((Some(workspace), kind, prior, None)) => (workspace, kind, prior),
        _ => return Ok(()),
    };
    let kind: JobKind = parse(kind)?;
    let prior: Option<WorkspaceState> = prior.map(parse).transpose()?;
    let becomes = match state {
        JobState::Done => match kind.becomes() {
            Becomes::Now(state) => Some(state),
            Becomes::AsBefore => prior,
            Becomes::Gone => None,
        },
        JobState::Undone | JobState::Cancelled => prior,
        JobState::Stuck => Some(WorkspaceState::Failed),
        JobState::Queued | JobState::Running | JobState::Undoing => return Ok(()),
    };
    if (state, kind) == (JobState::Done, JobKind::Deploy) {
        // What an older deployment that is stuck would take back or throw away is another's by now.
        let sql = "UPDATE jobs SET state = 'cancelled', ended_at = ?2 \
                   WHERE workspace = ?1 AND state = 'stuck' AND kind = 'deploy' AND id < ?3";
        t.execute(sql, params![workspace, at, key])?;
    }
    match becomes {
        // That it falls asleep is no use of it.
        Some(state) if state.is_away() => t.execute(
            "UPDATE workspaces SET state = ?2 WHERE id = ?1",
            params![workspace, text(&state)?],
        )?,
        Some(state) => t.execute(
            "UPDATE workspaces SET state = ?2, used_at = ?3 WHERE id = ?1",
            params![workspace, text(&state)?, at],
        )?,
        None => {
            // Older stuck jobs of a workspace that is gone have nothing left to continue.
            t.execute("UPDATE jobs SET state = 'cancelled', ended_at = ?2 WHERE workspace = ?1 AND state = 'stuck'", params![workspace, at])?;
            t.execute("DELETE FROM artifacts WHERE workspace = ?1", [workspace])?;
            t.execute("DELETE FROM numbers WHERE workspace = ?1", [workspace])?;
            t.execute("DELETE FROM deployments WHERE workspace = ?1", [workspace])?;
            t.execute("DELETE FROM workspaces WHERE id = ?1", [workspace])?
        }
    };
    Ok(())
}

/// Makes a stuck job live again, in the direction it had.
fn retried(t: &Transaction<'_>, key: &str) -> Result<(), StoreError> {
    t.execute(
        "UPDATE jobs SET state = CASE WHEN failure IS NULL THEN 'running' ELSE 'undoing' END \
         WHERE id = ?1 AND state = 'stuck'",
        [key],
    )?;
    Ok(())
}
