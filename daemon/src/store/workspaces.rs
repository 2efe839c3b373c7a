//! Workspaces and their ports.

use super::{
    Store, StoreError,
    rows::{parse, text, time},
};
use crate::domain::{Name, Owner, ProjectName, UnitName, Workspace};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

const COLUMNS: &str = "SELECT w.id, w.owner, w.project, w.name, w.state, p.port, w.directory, w.branch, \
     w.url, w.commit_id, w.deployment, w.created_at, w.job, w.creator, b.at FROM workspaces w \
     LEFT JOIN ports p ON p.workspace = w.id AND p.deployment = w.deployment \
     LEFT JOIN remote_branches b ON b.project = w.project AND b.branch = w.branch AND b.commit_id IS NULL \
     AND b.at > w.created_at";

fn workspace(row: &Row<'_>) -> Result<Workspace, StoreError> {
    Ok(Workspace {
        id: row.get(0)?,
        owner: parse(row.get(1)?)?,
        project: parse(row.get(2)?)?,
        name: parse(row.get(3)?)?,
        state: parse(row.get(4)?)?,
        port: row.get(5)?,
        directory: PathBuf::from(row.get::<_, String>(6)?),
        branch: row.get(7)?,
        url: row.get(8)?,
        commit: row.get(9)?,
        deployment: row.get(10)?,
        created_at: parse(row.get(11)?)?,
        job: parse(row.get(12)?)?,
        creator: parse(row.get(13)?)?,
        branch_gone_at: row.get::<_, Option<_>>(14)?.map(parse).transpose()?,
    })
}

fn query(
    connection: &Connection,
    rest: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Workspace>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {rest}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(workspace(row)?);
    }
    Ok(found)
}

/// A workspace by its number, inside a transaction.
pub(super) fn by_id(connection: &Connection, id: i64) -> Result<Option<Workspace>, StoreError> {
    Ok(query(connection, "WHERE w.id = ?1", [id])?.pop())
}

/// A workspace by owner and project, inside a transaction.
pub(super) fn by_owner(
    connection: &Connection,
    project: &ProjectName,
    owner: &Owner,
) -> Result<Option<Workspace>, StoreError> {
    let values = params![project.as_str(), owner.as_str()];
    Ok(query(connection, "WHERE w.project = ?1 AND w.owner = ?2", values)?.pop())
}

/// Whether nobody has this workspace's name in its project, nor its address or its folder, inside a
/// transaction. Workspaces of a project whose file was renamed have those of the new name.
pub(super) fn is_free(connection: &Connection, draft: &Workspace) -> Result<bool, StoreError> {
    let values = params![
        draft.project.as_str(),
        draft.name.as_str(),
        draft.url,
        draft.directory.to_string_lossy()
    ];
    let rest = "WHERE (w.project = ?1 AND w.name = ?2) OR (w.url = ?3 AND w.url <> '') OR w.directory = ?4";
    Ok(query(connection, rest, values)?.is_empty())
}

/// Stores a new row and returns its number; `workspace.id` is ignored.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    workspace: &Workspace,
) -> Result<i64, StoreError> {
    transaction.execute(
        "INSERT INTO workspaces (owner, project, name, state, directory, branch, url, created_at, job, creator) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            workspace.owner.as_str(),
            workspace.project.as_str(),
            workspace.name.as_str(),
            text(&workspace.state)?,
            workspace.directory.to_string_lossy(),
            workspace.branch,
            workspace.url,
            time(workspace.created_at),
            workspace.job.to_string(),
            text(&workspace.creator)?,
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

impl Store {
    /// A workspace by its number.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn workspace(&self, id: i64) -> Result<Option<Workspace>, StoreError> {
        self.read(move |connection| by_id(connection, id)).await
    }

    /// All workspaces of an owner, in every project.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn workspaces_of(&self, owner: Owner) -> Result<Vec<Workspace>, StoreError> {
        self.read(move |c| query(c, "WHERE w.owner = ?1 ORDER BY w.project", [owner.as_str()]))
            .await
    }

    /// A page of workspaces by number: those after `after`, at most `limit`; all projects or one.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn workspaces(
        &self,
        project: Option<ProjectName>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Workspace>, StoreError> {
        let project = project.map(|project| project.as_str().to_owned());
        self.read(move |c| {
            let rest = "WHERE w.id > ?1 AND (?2 IS NULL OR w.project = ?2) ORDER BY w.id LIMIT ?3";
            query(c, rest, params![after, project, limit])
        })
        .await
    }

    /// The same of people's workspaces alone, without stages.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn workspaces_of_people(
        &self,
        project: Option<ProjectName>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Workspace>, StoreError> {
        let project = project.map(|project| project.as_str().to_owned());
        self.read(move |c| {
            // Every workspace's name has two hyphens in a row, no stage's has.
            let rest = "WHERE w.id > ?1 AND (?2 IS NULL OR w.project = ?2) AND instr(w.name, '--') > 0 \
                ORDER BY w.id LIMIT ?3";
            query(c, rest, params![after, project, limit])
        })
        .await
    }

    /// A stage of a project, if something was deployed to it.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn stage(
        &self,
        project: ProjectName,
        stage: Name,
    ) -> Result<Option<Workspace>, StoreError> {
        self.read(move |c| by_owner(c, &project, &Owner::Stage(stage)))
            .await
    }

    /// The workspace or stage that is called so.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn workspace_of(&self, unit: UnitName) -> Result<Option<Workspace>, StoreError> {
        self.read(move |c| {
            let project = unit.project();
            let values = params![project.as_str(), unit.name()];
            Ok(query(c, "WHERE w.project = ?1 AND w.name = ?2", values)?.pop())
        })
        .await
    }

    /// When a visitor last came to each workspace, or a job of it last ended; by its number.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn used(&self) -> Result<HashMap<i64, jiff::Timestamp>, StoreError> {
        self.read(|c| {
            let sql = "SELECT id, coalesce(used_at, created_at) FROM workspaces";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut used = HashMap::new();
            while let Some(row) = rows.next()? {
                used.insert(row.get(0)?, parse(row.get(1)?)?);
            }
            Ok(used)
        })
        .await
    }

    /// Records that visitors came to these, by `PROJECT.NAME`.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn note_visits(
        &self,
        units: BTreeSet<UnitName>,
        now: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "UPDATE workspaces SET used_at = ?3 WHERE project = ?1 AND name = ?2";
            let mut statement = t.prepare_cached(sql)?;
            for unit in &units {
                let project = unit.project();
                let values = params![project.as_str(), unit.name(), time(now)];
                statement.execute(values)?;
            }
            Ok(())
        })
        .await
    }

    /// The projects that have workspaces, and how many each has.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn workspace_counts(&self) -> Result<BTreeMap<ProjectName, u32>, StoreError> {
        self.read(|c| {
            let sql = "SELECT project, count(*) FROM workspaces GROUP BY project";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut counts = BTreeMap::new();
            while let Some(row) = rows.next()? {
                counts.insert(parse(row.get(0)?)?, row.get(1)?);
            }
            Ok(counts)
        })
        .await
    }

    /// Records the commit that the processes were set up for.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_commit(
        &self,
        workspace: i64,
        commit: Option<String>,
    ) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute(
                "UPDATE workspaces SET commit_id = ?2 WHERE id = ?1",
                params![workspace, commit],
            )?;
            Ok(())
        })
        .await
    }

    /// Records the address of a workspace; empty: it has nothing to answer there.
    ///
    /// # Errors
    /// The ledger's; also when another workspace has this address.
    pub async fn set_url(&self, workspace: i64, url: String) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "UPDATE workspaces SET url = ?2 WHERE id = ?1";
            t.execute(sql, params![workspace, url])?;
            Ok(())
        })
        .await
    }

    /// Records which instance of a workspace answers.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_deployment(&self, workspace: i64, number: u32) -> Result<(), StoreError> {
        self.write(move |t| {
            let sql = "UPDATE workspaces SET deployment = ?2 WHERE id = ?1";
            t.execute(sql, params![workspace, number])?;
            Ok(())
        })
        .await
    }

    /// The port that an instance of a workspace has reserved.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn port_of(
        &self,
        workspace: i64,
        deployment: u32,
    ) -> Result<Option<u16>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT port FROM ports WHERE workspace = ?1 AND deployment = ?2";
            let values = params![workspace, deployment];
            Ok(c.query_row(sql, values, |row| row.get(0)).optional()?)
        })
        .await
    }

    /// All reserved ports, with their units.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn ports(&self) -> Result<Vec<(u16, UnitName)>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT port, unit FROM ports ORDER BY port")?;
            let mut rows = statement.query([])?;
            let mut ports = Vec::new();
            while let Some(row) = rows.next()? {
                ports.push((row.get(0)?, parse(row.get(1)?)?));
            }
            Ok(ports)
        })
        .await
    }

    /// Reserves a port for an instance of a workspace; a port that it has already is kept. `false`: nothing was
    /// reserved.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn reserve_port(
        &self,
        workspace: i64,
        instance: UnitName,
        port: u16,
    ) -> Result<bool, StoreError> {
        self.write(move |t| {
            let unit = instance.workspace();
            let changed = t.execute(
                "INSERT INTO ports (port, workspace, deployment, unit) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![port, workspace, instance.number(), unit.as_str()],
            )?;
            Ok(changed == 1)
        })
        .await
    }

    /// Gives a workspace's ports back; while an nginx reload is owed for it, only afterwards. `deployment`: that
    /// of this instance alone.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn release_port(
        &self,
        workspace: i64,
        deployment: Option<u32>,
    ) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute(
                "UPDATE ports SET released = 1 WHERE workspace = ?1 AND (?2 IS NULL OR deployment = ?2)",
                params![workspace, deployment],
            )?;
            free_ports(t)
        })
        .await
    }
}

impl Store {
    /// The small number of a workspace, unique on this machine.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn number_of(&self, workspace: i64) -> Result<Option<u32>, StoreError> {
        self.read(move |c| number_of(c, workspace)).await
    }

    /// The same; gives the workspace the smallest free one, from 1, if it has none. It is free again when the
    /// workspace is gone.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn reserve_number(&self, workspace: i64) -> Result<u32, StoreError> {
        self.write(move |t| {
            if let Some(number) = number_of(t, workspace)? {
                return Ok(number);
            }
            let sql = "INSERT INTO numbers (number, workspace) \
                SELECT min(n), ?1 FROM (SELECT 1 AS n UNION ALL SELECT number + 1 FROM numbers) \
                WHERE n NOT IN (SELECT number FROM numbers) RETURNING number";
            Ok(t.query_row(sql, [workspace], |row| row.get(0))?)
        })
        .await
    }
}

fn number_of(connection: &Connection, workspace: i64) -> Result<Option<u32>, StoreError> {
    let sql = "SELECT number FROM numbers WHERE workspace = ?1";
    Ok(connection
        .query_row(sql, [workspace], |row| row.get(0))
        .optional()?)
}

impl Store {
    /// Releases the ports of workspaces that are gone; for the daemon's start.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn release_stray_ports(&self) -> Result<(), StoreError> {
        self.write(|t| {
            t.execute(
                "UPDATE ports SET released = 1 WHERE workspace NOT IN (SELECT id FROM workspaces)",
                [],
            )?;
            free_ports(t)
        })
        .await
    }
}

/// Frees the released ports for which no reload is owed.
pub(super) fn free_ports(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute(
        "DELETE FROM ports WHERE released = 1 AND NOT EXISTS \
         (SELECT 1 FROM owed WHERE owed.unit = ports.unit AND json_extract(owed.debt, '$.debt') = 'nginx_reload')",
        [],
    )?;
    Ok(())
}
