//! Deployments: which builds came to run in which stages.

use super::{
    JobRow, Store, StoreError,
    jobs::query,
    rows::{parse, text, time},
};
use crate::domain::{Build, Creator, Deployment, Name, ProjectName};
use rusqlite::{Connection, params};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use uuid::Uuid;

/// How many older builds each stage of a project can go back to; one where a stage is not named.
pub type Keeps = BTreeMap<Name, usize>;

/// The stages of a project to which something was deployed, and the builds that each keeps: what runs there, and those
/// that it can go back to.
pub(super) fn kept(
    connection: &Connection,
    project: &ProjectName,
    keeps: &Keeps,
) -> Result<Vec<(Name, BTreeSet<u32>)>, StoreError> {
    let sql = "SELECT w.name, d.build FROM deployments d JOIN workspaces w ON w.id = d.workspace \
        WHERE w.project = ?1 ORDER BY w.id, d.id DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([project.as_str()])?;
    let mut all: Vec<(Name, BTreeSet<u32>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let name: Name = parse(row.get(0)?)?;
        let keep = keeps.get(&name).copied().unwrap_or(1);
        match all.last_mut() {
            Some((last, kept)) if *last == name => {
                if kept.len() <= keep {
                    kept.insert(row.get(1)?);
                }
            }
            _ => all.push((name, [row.get(1)?].into())),
        }
    }
    Ok(all)
}

impl Store {
    /// Records what runs in a stage from now on; twice by one job is once.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn add_deployment(&self, new: Deployment) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute(
                "INSERT INTO deployments (workspace, build, commit_id, job, by, at, released, backup) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                params![
                    new.workspace,
                    new.build,
                    new.commit,
                    new.job.to_string(),
                    new.by,
                    time(new.at),
                    new.released,
                    new.backup.map(|path| path.to_string_lossy().into_owned()),
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets what a job recorded.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn forget_deployment(&self, job: Uuid) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "DELETE FROM deployments WHERE job = ?1";
            t.execute(sql, [job.to_string()])?;
            Ok(())
        })
        .await
    }

    /// What came to run in a stage, the newest first, at most `limit`.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn deployments(
        &self,
        workspace: i64,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT build, commit_id, job, by, at, released, backup, fell FROM deployments \
                WHERE workspace = ?1 ORDER BY id DESC LIMIT ?2";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query(params![workspace, limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(Deployment {
                    workspace,
                    build: row.get(0)?,
                    commit: row.get(1)?,
                    job: parse(row.get(2)?)?,
                    by: row.get(3)?,
                    at: parse(row.get(4)?)?,
                    released: row.get(5)?,
                    backup: row.get::<_, Option<String>>(6)?.map(PathBuf::from),
                    fell: row.get(7)?,
                });
            }
            Ok(found)
        })
        .await
    }

    /// The newest deployment of each workspace and stage, or of this one, where it was taken back. One that somebody
    /// cancelled counts for nothing.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn failed_deployments(&self, only: Option<i64>) -> Result<Vec<JobRow>, StoreError> {
        self.read(move |c| {
            let rest = "WHERE state = 'undone' AND id IN (SELECT max(id) FROM jobs WHERE kind = 'deploy' \
                AND state IN ('done', 'undone') AND (?1 IS NULL OR workspace = ?1) GROUP BY workspace)";
            query(c, rest, [only])
        })
        .await
    }

    /// The newest deployment of a workspace that came to its end, whatever that was.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn last_deployment(&self, workspace: i64) -> Result<Option<JobRow>, StoreError> {
        self.read(move |c| {
            let rest = "WHERE kind = 'deploy' AND state IN ('done', 'undone') AND workspace = ?1 \
                ORDER BY id DESC LIMIT 1";
            Ok(query(c, rest, [workspace])?.pop())
        })
        .await
    }

    /// Whether a job deployed, or was to deploy, this build to a stage.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn was_tried(&self, stage: Name, build: Build) -> Result<bool, StoreError> {
        self.read(move |c| {
            // A plan that deploys a build names its folder.
            let sql = "SELECT (SELECT count(*) FROM tried WHERE project = ?1 AND stage = ?2 AND build = ?4) \
                + (SELECT count(*) FROM jobs WHERE project = ?1 AND name = ?2 AND kind = 'deploy' \
                AND instr(plan, '\"' || ?3 || '\"') > 0)";
            let directory = build.directory.to_string_lossy().into_owned();
            let values = params![
                build.project.as_str(),
                stage.as_str(),
                directory,
                build.number
            ];
            Ok(c.query_row(sql, values, |row| row.get::<_, u32>(0))? > 0)
        })
        .await
    }

    /// Records that a job is to deploy this build to a stage. It is known after the job is forgotten.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_tried(
        &self,
        project: ProjectName,
        stage: Name,
        build: u32,
    ) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "INSERT INTO tried (project, stage, build) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            t.execute(sql, params![project.as_str(), stage.as_str(), build])?;
            Ok(())
        })
        .await
    }

    /// The numbers of the builds of a project that pushes began.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn pushed_builds(&self, project: ProjectName) -> Result<BTreeSet<u32>, StoreError> {
        self.read(move |c| {
            let sql =
                "SELECT number FROM builds WHERE kind = 'build' AND project = ?1 AND creator = ?2";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query(params![project.as_str(), text(&Creator::Trigger)?])?;
            let mut found = BTreeSet::new();
            while let Some(row) = rows.next()? {
                found.insert(row.get(0)?);
            }
            Ok(found)
        })
        .await
    }

    /// The builds that run in stages of a project, with the stage.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn running_builds(
        &self,
        project: ProjectName,
    ) -> Result<Vec<(u32, Name)>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT d.build, w.name FROM deployments d JOIN workspaces w ON w.id = d.workspace \
                WHERE w.project = ?1 AND d.id = (SELECT max(id) FROM deployments WHERE workspace = w.id) \
                ORDER BY w.id";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([project.as_str()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push((row.get(0)?, parse(row.get(1)?)?));
            }
            Ok(found)
        })
        .await
    }
}
