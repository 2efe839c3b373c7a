//! Limits on the number of workspaces.

use super::{
    StoreError,
    rows::{parse, text},
};
use crate::domain::{Email, ProjectName, Workspace};
use rusqlite::{Transaction, params};

/// The most workspaces allowed, in whatever state they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// In all.
    pub in_all: u32,
    /// Of the project.
    pub per_project: u32,
    /// Of the same creator, in all projects.
    pub per_creator: u32,
}

/// A bound of [`Quota`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// [`Quota::in_all`]
    InAll,
    /// [`Quota::per_project`]
    PerProject,
    /// [`Quota::per_creator`]
    PerCreator,
}

/// A limit that is reached, and the workspaces that count towards it, oldest first.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Which.
    pub bound: Bound,
    /// How many are allowed.
    pub limit: u32,
    /// The existing ones.
    pub have: Vec<(Email, ProjectName)>,
}

/// The limit that one more workspace would exceed, checked inside the transaction that makes its row.
pub(super) fn reached(
    t: &Transaction<'_>,
    draft: &Workspace,
    quota: Quota,
) -> Result<Option<Reached>, StoreError> {
    let bounds = [
        (Bound::PerCreator, quota.per_creator),
        (Bound::PerProject, quota.per_project),
        (Bound::InAll, quota.in_all),
    ];
    for (bound, limit) in bounds {
        let have = counted(t, draft, bound)?;
        if have.len() >= limit as usize {
            return Ok(Some(Reached { bound, limit, have }));
        }
    }
    Ok(None)
}

fn counted(
    t: &Transaction<'_>,
    draft: &Workspace,
    bound: Bound,
) -> Result<Vec<(Email, ProjectName)>, StoreError> {
    let (creator, project) = match bound {
        Bound::PerCreator => (Some(text(&draft.creator)?), None),
        Bound::PerProject => (None, Some(draft.project.as_str())),
        Bound::InAll => (None, None),
    };
    // The project file says how many stages there are.
    let mut statement = t.prepare_cached(
        "SELECT email, project FROM workspaces WHERE (?1 IS NULL OR creator = ?1) \
         AND (?2 IS NULL OR project = ?2) AND instr(name, '--') > 0 ORDER BY id",
    )?;
    let mut rows = statement.query(params![creator, project])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((parse(row.get(0)?)?, parse(row.get(1)?)?));
    }
    Ok(found)
}
