//! Builds. A build's state changes in the transaction that changes its job's.

use super::{
    JobRow, Store, StoreError,
    jobs::too_many,
    journal::append,
    rows::{parse, text, time},
};
use crate::domain::{
    Build, BuildState, Creator, JobKind, JobState, Packages, ProjectName, Source, Verdict,
    event::What,
};
use cid_protocol::budget::PLAN;
use rusqlite::{Connection, Row, Transaction, params};
use std::{collections::BTreeSet, path::PathBuf};
use uuid::Uuid;

/// Makes a plan's JSON for a build that has its number.
pub type MakePlan = Box<dyn FnOnce(&Build) -> serde_json::Result<serde_json::Value> + Send>;

/// How long after a template could not be made another is tried.
const TRY_AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// A build to be stored, with its job.
pub struct NewBuild {
    /// The row; its `id` and `number` are ignored.
    pub draft: Build,
    /// A build, or a template.
    pub kind: JobKind,
    /// Builds although the same has been built.
    pub again: bool,
    /// Who asks.
    pub creator: Creator,
    /// Makes the stored plan, now that the build has its number.
    pub plan: MakePlan,
    /// The most jobs that may be live.
    pub limit: u32,
}

/// The result of a [`NewBuild`].
pub enum AppendedBuild {
    /// It is journalled.
    Job(Box<Build>),
    /// The same commit has been built by the same recipe, or is being built.
    Exists(Box<Build>),
    /// The limit on live jobs is reached; the oldest ones.
    TooMany(Vec<JobRow>),
}

const COLUMNS: &str = "SELECT id, project, number, commit_id, reference, subject, author, recipe, state, \
     verdict, digest, directory, created_at, took_ms, job, packages, superseded_by FROM builds";

fn build(row: &Row<'_>) -> Result<Build, StoreError> {
    let (verdict, packages): (Option<String>, Option<String>) = (row.get(9)?, row.get(15)?);
    Ok(Build {
        id: row.get(0)?,
        project: parse(row.get(1)?)?,
        number: row.get(2)?,
        source: Source {
            commit: row.get(3)?,
            reference: row.get(4)?,
            subject: row.get(5)?,
            author: row.get(6)?,
        },
        recipe: row.get(7)?,
        state: parse(row.get(8)?)?,
        verdict: verdict
            .map(|text| serde_json::from_str(&text))
            .transpose()?,
        digest: row.get(10)?,
        packages: packages
            .map(|text| serde_json::from_str(&text))
            .transpose()?,
        directory: PathBuf::from(row.get::<_, String>(11)?),
        created_at: parse(row.get(12)?)?,
        took_ms: row.get(13)?,
        job: parse(row.get(14)?)?,
        superseded_by: row.get(16)?,
    })
}

pub(super) fn query(
    connection: &Connection,
    rest: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Build>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {rest}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(build(row)?);
    }
    Ok(found)
}

fn submit_build(t: &Transaction<'_>, new: NewBuild) -> Result<AppendedBuild, StoreError> {
    if let Some(oldest) = too_many(t, new.limit)? {
        return Ok(AppendedBuild::TooMany(oldest));
    }
    if !new.again
        && let Some(build) = same(t, new.kind, &new.draft)?
    {
        return Ok(AppendedBuild::Exists(Box::new(build)));
    }
    let build = insert(t, new.draft, new.kind, &new.creator)?;
    let plan = (new.plan)(&build)?.to_string();
    PLAN.check(plan.len(), "this job")?;
    t.execute(
        "INSERT INTO jobs (id, build, owner, project, name, kind, state, plan, creator, created_at) \
         VALUES (?1, ?2, '', ?3, ?4, ?5, 'queued', ?6, ?7, ?8)",
        params![
            build.job.to_string(),
            build.id,
            build.project.as_str(),
            build.number.to_string(),
            text(&new.kind)?,
            plan,
            text(&new.creator)?,
            time(build.created_at),
        ],
    )?;
    let state = JobState::Queued;
    append(t, build.job, &[What::Job { state }])?;
    Ok(AppendedBuild::Job(Box::new(build)))
}

/// The newest build of the same commit by the same recipe, unless it could not be made. A template that could not
/// be made is not tried again at once.
fn same(
    connection: &Connection,
    kind: JobKind,
    draft: &Build,
) -> Result<Option<Build>, StoreError> {
    let rest = "WHERE project = ?1 AND kind = ?2 AND commit_id = ?3 AND recipe = ?4 \
                AND (state NOT IN ('error', 'superseded') OR (kind = 'template' AND created_at > ?5)) \
                AND superseded_by IS NULL \
                ORDER BY number DESC LIMIT 1";
    let values = params![
        draft.project.as_str(),
        text(&kind)?,
        draft.source.commit,
        draft.recipe,
        time(jiff::Timestamp::now() - TRY_AGAIN),
    ];
    Ok(query(connection, rest, values)?.pop())
}

/// Stores a new row under the project's next number, which also names its folder.
fn insert(
    t: &Transaction<'_>,
    mut draft: Build,
    kind: JobKind,
    creator: &Creator,
) -> Result<Build, StoreError> {
    draft.number = t.query_row(
        "INSERT INTO build_numbers (project, kind, last) VALUES (?1, ?2, 1) \
         ON CONFLICT (project, kind) DO UPDATE SET last = last + 1 RETURNING last",
        params![draft.project.as_str(), text(&kind)?],
        |row| row.get(0),
    )?;
    draft.directory.push(draft.number.to_string());
    t.execute(
        "INSERT INTO builds (project, number, commit_id, reference, subject, author, recipe, state, directory, \
         created_at, job, creator, kind) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            draft.project.as_str(),
            draft.number,
            draft.source.commit,
            draft.source.reference,
            draft.source.subject,
            draft.source.author,
            draft.recipe,
            text(&draft.state)?,
            draft.directory.to_string_lossy(),
            time(draft.created_at),
            draft.job.to_string(),
            text(creator)?,
            text(&kind)?,
        ],
    )?;
    draft.id = t.last_insert_rowid();
    Ok(draft)
}

/// Applies its job's new state.
pub(super) fn enter(t: &Transaction<'_>, id: i64, job: JobState) -> Result<(), StoreError> {
    let found = query(t, "WHERE id = ?1", [id])?.pop();
    let Some(build) = found else { return Ok(()) };
    let state = match job {
        JobState::Queued => return Ok(()),
        // One that goes on after a restart may have come further.
        JobState::Running if build.state != BuildState::Queued => return Ok(()),
        JobState::Running => BuildState::Building,
        JobState::Done if build.verdict.is_some_and(|verdict| verdict.passed) => BuildState::Passed,
        JobState::Done => BuildState::Failed,
        JobState::Undoing | JobState::Cancelled if build.superseded_by.is_some() => {
            BuildState::Superseded
        }
        JobState::Undoing | JobState::Undone | JobState::Cancelled | JobState::Stuck => {
            BuildState::Error
        }
    };
    set_state(t, id, state)?;
    if job.is_ended() {
        let took = jiff::Timestamp::now().duration_since(build.created_at);
        let took = u64::try_from(took.as_millis()).unwrap_or_default();
        t.execute(
            "UPDATE builds SET took_ms = ?2 WHERE id = ?1",
            params![id, took],
        )?;
    }
    Ok(())
}

fn set_state(t: &Transaction<'_>, id: i64, state: BuildState) -> Result<(), StoreError> {
    let sql = "UPDATE builds SET state = ?2 WHERE id = ?1";
    t.execute(sql, params![id, text(&state)?])?;
    Ok(())
}

impl Store {
    /// Journals the job of a new build, with its row.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn submit_build(&self, new: NewBuild) -> Result<AppendedBuild, StoreError> {
        self.write(move |t| submit_build(t, new)).await
    }

    /// A build by its number in its project.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn build(
        &self,
        project: ProjectName,
        number: u32,
    ) -> Result<Option<Build>, StoreError> {
        self.read(move |c| {
            let values = params![project.as_str(), number];
            let rest = "WHERE project = ?1 AND kind = 'build' AND number = ?2";
            Ok(query(c, rest, values)?.pop())
        })
        .await
    }

    /// A build or a template by its number in the ledger.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn made(&self, id: i64) -> Result<Option<Build>, StoreError> {
        self.read(move |c| Ok(query(c, "WHERE id = ?1", [id])?.pop()))
            .await
    }

    /// Builds of a project, or of all, the newest first, at most `limit`; those older than `before`, by
    /// their number in the ledger.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn builds(
        &self,
        project: Option<ProjectName>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Build>, StoreError> {
        let project = project.map(|project| project.as_str().to_owned());
        self.read(move |c| {
            let rest = "WHERE kind = 'build' AND (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR id < ?2) \
                        ORDER BY id DESC LIMIT ?3";
            query(c, rest, params![project, before, limit])
        })
        .await
    }

    /// The newest build of a commit by a recipe that could be made, or is being made.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn same_build(&self, draft: Build) -> Result<Option<Build>, StoreError> {
        self.read(move |c| same(c, JobKind::Build, &draft)).await
    }

    /// The jobs of earlier builds that a push began and that wait: `build`, of the same branch, takes their place.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn replaced_by(&self, build: &Build) -> Result<Vec<Uuid>, StoreError> {
        let Build {
            project,
            source,
            number,
            ..
        } = build.clone();
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT b.job FROM builds b JOIN jobs j ON j.id = b.job WHERE b.kind = 'build' AND b.project = ?1 AND b.reference = ?2 \
                 AND b.number < ?3 AND b.state = 'queued' AND j.creator = ?4",
            )?;
            let creator = text(&Creator::Trigger)?;
            let values = params![project.as_str(), source.reference, number, creator];
            let mut rows = statement.query(values)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(parse(row.get(0)?)?);
            }
            Ok(found)
        })
        .await
    }

    /// Branches of a project whose newest commit was pushed and could not be made into a build, by which a daemon's end or
    /// a lost network may be to blame. A commit that was tried twice is not among them, and neither is one whose build a
    /// person cancelled.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn branches_to_build_again(
        &self,
        project: ProjectName,
    ) -> Result<BTreeSet<String>, StoreError> {
        self.read(move |c| {
            let all = to_build_again(c)?.into_iter();
            let own = all.filter(|(of, _)| *of == project);
            Ok(own.map(|(_, branch)| branch).collect())
        })
        .await
    }

    /// Records that the build of this job makes way for the build `by`; `None`: it does not after all.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn supersede(&self, job: Uuid, by: Option<u32>) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "UPDATE builds SET superseded_by = ?2 WHERE job = ?1";
            t.execute(sql, params![job.to_string(), by])?;
            Ok(())
        })
        .await
    }

    /// The projects that have such branches.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn projects_to_build_again(&self) -> Result<BTreeSet<ProjectName>, StoreError> {
        self.read(|c| Ok(to_build_again(c)?.into_iter().map(|(of, _)| of).collect()))
            .await
    }

    /// Records what a build's sealed files are, and where its packages are.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_sealed(
        &self,
        id: i64,
        digest: String,
        packages: Packages,
    ) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "UPDATE builds SET digest = ?2, packages = ?3 WHERE id = ?1";
            t.execute(sql, params![id, digest, serde_json::to_string(&packages)?])?;
            Ok(())
        })
        .await
    }

    /// Records that one of a build's own commands failed: another attempt would end the same.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_blamed(&self, id: i64) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute("UPDATE builds SET blamed = 1 WHERE id = ?1", [id])?;
            Ok(())
        })
        .await
    }

    /// Pushed builds of a project that wait or are being made.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn pushed_and_live(&self, project: ProjectName) -> Result<Vec<Build>, StoreError> {
        self.read(move |c| {
            let creator = text(&Creator::Trigger)?;
            let rest = "WHERE project = ?1 AND state IN ('queued', 'building', 'testing') \
                AND superseded_by IS NULL AND creator = ?2 ORDER BY number";
            query(c, rest, params![project.as_str(), creator])
        })
        .await
    }

    /// Records that a build's tests run.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_testing(&self, id: i64) -> Result<(), StoreError> {
        self.write(move |t| set_state(t, id, BuildState::Testing))
            .await
    }

    /// Records what a build's tests came to; it counts once the job is done.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_verdict(&self, id: i64, verdict: Verdict) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "UPDATE builds SET verdict = ?2 WHERE id = ?1";
            t.execute(sql, params![id, serde_json::to_string(&verdict)?])?;
            Ok(())
        })
        .await
    }
}

/// Projects with branches, see [`Store::branches_to_build_again`].
fn to_build_again(c: &Connection) -> Result<Vec<(ProjectName, String)>, StoreError> {
    let sql = "SELECT r.project, r.branch FROM remote_branches r JOIN builds b ON b.project = r.project \
            AND b.commit_id = r.commit_id AND b.reference = r.branch JOIN jobs j ON j.id = b.job \
        WHERE b.kind = 'build' AND b.state = 'error' AND b.blamed = 0 AND j.state = 'undone' AND j.creator = ?1 AND NOT EXISTS (SELECT 1 FROM builds o \
            WHERE o.project = b.project AND o.kind = 'build' AND o.commit_id = b.commit_id AND o.id <> b.id)";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([text(&Creator::Trigger)?])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((parse(row.get(0)?)?, row.get(1)?));
    }
    Ok(found)
}

/// Whether the ledger has a build.
pub(super) fn has_build(t: &Transaction<'_>, id: i64) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM builds WHERE id = ?1";
    Ok(t.query_row(sql, [id], |row| row.get::<_, u32>(0))? > 0)
}

#[cfg(test)]
#[path = "builds_tests.rs"]
mod tests;
