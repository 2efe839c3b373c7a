//! Limits on the number of workspaces.

use super::{StoreError, rows::parse};
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
        Bound::PerCreator => (Some(draft.creator.to_string()), None),
        Bound::PerProject => (None, Some(draft.project.as_str())),
        Bound::InAll => (None, None),
    };
    // The project file says how many stages there are.
    let mut statement = t.prepare_cached(
        "SELECT owner, project, creator FROM workspaces \
         WHERE (?1 IS NULL OR project = ?1) AND instr(name, '--') > 0 ORDER BY id",
    )?;
    let mut rows = statement.query(params![project])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let made_by: String = row.get(2)?;
        let counts = |own: &String| mailbox(&made_by) == mailbox(own);
        if creator.as_ref().is_none_or(counts) {
            found.push((parse(row.get(0)?)?, parse(row.get(1)?)?));
        }
    }
    Ok(found)
}

/// A creator without what most mail servers leave out of an address: `anna+1@` and `anna@` are one person.
fn mailbox(creator: &str) -> String {
    match creator.split_once('@') {
        Some((local, domain)) => {
            let local = local.split('+').next().unwrap_or(local);
            format!("{local}@{domain}")
        }
        None => creator.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::mailbox;

    #[test]
    fn one_mailbox_is_one_creator() {
        let anna = "address:anna@example.com";
        assert_eq!(mailbox(anna), anna);
        assert_eq!(mailbox("address:anna+1@example.com"), anna);
        assert_eq!(mailbox("address:anna+a+b@example.com"), anna);
        assert_ne!(mailbox("address:anna@example.org"), anna);
        assert_ne!(mailbox("address:anna.b@example.com"), anna);
        assert_eq!(mailbox("uid:1000"), "uid:1000");
    }
}
