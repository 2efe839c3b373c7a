//! What keeps a build, and builds that nothing keeps.

use super::{
    Store, StoreError,
    builds::query,
    deployments::{Keeps, kept},
    rows::parse,
};
use crate::domain::{Build, Name};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What keeps a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptBy {
    /// A job makes it, or deploys it.
    Job(Uuid),
    /// It runs in a stage, or is one that the stage can go back to.
    Stage(Name),
}

impl Store {
    /// Forgets a build, unless something keeps it; `None`: it is forgotten. Without `keeps` stages do not count.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn forget_build(
        &self,
        id: i64,
        keeps: Option<Keeps>,
    ) -> Result<Option<KeptBy>, StoreError> {
        self.write(move |t| {
            let Some(build) = query(t, "WHERE id = ?1", [id])?.pop() else {
                return Ok(None);
            };
            // Looked at here: a deployment may have ended since anybody else looked.
            if let Some(by) = kept_by(t, &build, keeps.as_ref())? {
                return Ok(Some(by));
            }
            let sql = "DELETE FROM tried WHERE project = ?1 AND build = ?2";
            t.execute(sql, params![build.project.as_str(), build.number])?;
            t.execute("DELETE FROM builds WHERE id = ?1", [id])?;
            Ok(None)
        })
        .await
    }

    /// What keeps a build; `None`: nothing keeps it, or the ledger does not have it.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn build_kept_by(
        &self,
        id: i64,
        keeps: Option<Keeps>,
    ) -> Result<Option<KeptBy>, StoreError> {
        self.read(move |c| match query(c, "WHERE id = ?1", [id])?.pop() {
            Some(build) => kept_by(c, &build, keeps.as_ref()),
            None => Ok(None),
        })
        .await
    }
}

fn kept_by(
    c: &Connection,
    build: &Build,
    keeps: Option<&Keeps>,
) -> Result<Option<KeptBy>, StoreError> {
    // A plan that deploys the build names its folder.
    let sql = "SELECT id FROM jobs WHERE state NOT IN ('done', 'undone', 'cancelled') AND (build = ?1 \
        OR (kind = 'deploy' AND instr(plan, '\"' || ?2 || '\"') > 0))";
    let values = params![build.id, build.directory.to_string_lossy()];
    let live: Option<String> = c.query_row(sql, values, |row| row.get(0)).optional()?;
    if let Some(live) = live {
        return Ok(Some(KeptBy::Job(parse(live)?)));
    }
    let stages = match keeps {
        Some(keeps) => kept(c, &build.project, keeps)?,
        None => Vec::new(),
    };
    let keeps = |(_, kept): &(Name, BTreeSet<u32>)| kept.contains(&build.number);
    let stage = stages.into_iter().find(keeps);
    Ok(stage.map(|(stage, _)| KeptBy::Stage(stage)))
}
