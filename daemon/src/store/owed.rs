//! What finished jobs could not do and cid keeps trying.

use super::{
    Store, StoreError,
    rows::{parse, time},
    workspaces::free_ports,
};
use crate::domain::{ProjectName, UnitName};
use cid_protocol::request::Remote;
use rusqlite::params;
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};
use uuid::Uuid;

/// One thing owed to the outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "debt", rename_all = "snake_case")]
pub enum Debt {
    /// nginx still runs with a vhost whose file is gone.
    NginxReload,
    /// supervisord still has a group whose file is gone.
    SupervisorUpdate,
    /// A branch that cid pushed for a workspace that never came to be.
    DeleteBranch {
        /// Project.
        project: ProjectName,
        /// Its mirror.
        mirror: PathBuf,
        /// The repository.
        remote: Remote,
        /// The branch.
        branch: String,
        /// The commit it had; a branch with another commit is a person's and stays.
        expected: String,
    },
}

impl fmt::Display for Debt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NginxReload => f.write_str("reload nginx"),
            Self::SupervisorUpdate => f.write_str("update supervisord"),
            Self::DeleteBranch { branch, remote, .. } => {
                write!(f, "delete the branch {branch} on {}", remote.url)
            }
        }
    }
}

/// A debt as the ledger has it.
#[derive(Clone, Debug)]
pub struct OwedRow {
    /// Number in the ledger.
    pub id: i64,
    /// The job that owes it.
    pub job: Uuid,
    /// The workspace it is about.
    pub unit: UnitName,
    /// What.
    pub debt: Debt,
    /// Why it could not be done at once.
    pub reason: String,
}

impl Store {
    /// Records a debt; an existing one keeps its number and gets the new reason.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn owe(
        &self,
        job: Uuid,
        unit: UnitName,
        debt: Debt,
        reason: String,
    ) -> Result<(), StoreError> {
        let debt = serde_json::to_string(&debt)?;
        self.write(move |t| {
            t.execute(
                "INSERT INTO owed (job, unit, debt, reason, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (unit, debt) DO UPDATE SET reason = excluded.reason, job = excluded.job",
                params![job.to_string(), unit.as_str(), debt, reason, time(jiff::Timestamp::now())],
            )?;
            Ok(())
        })
        .await
    }

    /// All debts, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn owed(&self) -> Result<Vec<OwedRow>, StoreError> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT id, job, unit, debt, reason FROM owed ORDER BY id")?;
            let mut rows = statement.query([])?;
            let mut owed = Vec::new();
            while let Some(row) = rows.next()? {
                owed.push(OwedRow {
                    id: row.get(0)?,
                    job: parse(row.get(1)?)?,
                    unit: parse(row.get(2)?)?,
                    debt: serde_json::from_str(&row.get::<_, String>(3)?)?,
                    reason: row.get(4)?,
                });
            }
            Ok(owed)
        })
        .await
    }

    /// Deletes debts and frees the ports that waited for them.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn settle(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        self.write(move |t| {
            for id in ids {
                t.execute("DELETE FROM owed WHERE id = ?1", [id])?;
            }
            free_ports(t)
        })
        .await
    }
}
