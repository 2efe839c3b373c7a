//! Numbers that are kept for projects' next workspaces.

use super::{Store, StoreError, rows::parse};
use crate::domain::ProjectName;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// The number kept for a project's next workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Whose.
    pub project: ProjectName,
    /// What the workspace's number will be.
    pub number: i64,
    /// It may be given: there is no account under it any more.
    pub ready: bool,
}

impl Store {
    /// Keeps a number for a project's next workspace, the one that it has already if any. It is not given
    /// before [`Store::set_ready`].
    ///
    /// # Errors
    /// The ledger's.
    pub async fn reserve(&self, project: ProjectName) -> Result<i64, StoreError> {
        self.write(move |t| {
            let name = project.as_str();
            if let Some(number) = kept(t, name)? {
                t.execute("UPDATE reserved SET ready = 0 WHERE project = ?1", [name])?;
                return Ok(number);
            }
            let number = next(t)?;
            t.execute(
                "INSERT INTO reserved (project, number, ready) VALUES (?1, ?2, 0)",
                params![name, number],
            )?;
            Ok(number)
        })
        .await
    }

    /// From now on a workspace may get this number.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_ready(&self, number: i64) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute("UPDATE reserved SET ready = 1 WHERE number = ?1", [number])?;
            Ok(())
        })
        .await
    }

    /// All numbers that are kept.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn reserved(&self) -> Result<Vec<Reserved>, StoreError> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT project, number, ready FROM reserved ORDER BY number")?;
            let mut rows = statement.query([])?;
            let mut reserved = Vec::new();
            while let Some(row) = rows.next()? {
                reserved.push(Reserved {
                    project: parse(row.get(0)?)?,
                    number: row.get(1)?,
                    ready: row.get(2)?,
                });
            }
            Ok(reserved)
        })
        .await
    }
}

/// The number of a new workspace, inside a transaction: the one kept for its project if it `may_take` it.
pub(super) fn give(
    transaction: &Transaction<'_>,
    project: &ProjectName,
    may_take: bool,
) -> Result<i64, StoreError> {
    let take = "DELETE FROM reserved WHERE project = ?1 AND ready RETURNING number";
    let taken = match may_take {
        true => transaction
            .query_row(take, [project.as_str()], |row| row.get(0))
            .optional()?,
        false => None,
    };
    taken.map_or_else(|| next(transaction), Ok)
}

fn kept(connection: &Connection, project: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT number FROM reserved WHERE project = ?1";
    Ok(connection
        .query_row(sql, [project], |row| row.get(0))
        .optional()?)
}

/// One above all that were ever given, and all that are kept.
fn next(connection: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT 1 + max( \
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'workspaces'), 0), \
        coalesce((SELECT max(number) FROM reserved), 0))";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> ProjectName {
        ProjectName::parse(name).unwrap()
    }

    async fn given(store: &Store, name: &str, may_take: bool) -> i64 {
        let project = project(name);
        let give = move |t: &Transaction<'_>| {
            let number = give(t, &project, may_take)?;
            // As a workspace does for whom it is; rows of its kind only count numbers here.
            t.execute(
                "INSERT INTO workspaces (id, email, project, name, state, directory, branch, url, created_at, job) \
                 VALUES (?1, ?1, ?2, ?1, '', ?1, '', '', '', '')",
                params![number, project.as_str()],
            )?;
            t.execute("DELETE FROM workspaces WHERE id = ?1", [number])?;
            Ok(number)
        };
        store.write(give).await.unwrap()
    }

    #[tokio::test]
    async fn a_kept_number_is_given_once_to_its_project_when_it_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("ledger.db")).unwrap();
        assert_eq!(given(&store, "shop", true).await, 1);
        assert_eq!(store.reserve(project("shop")).await.unwrap(), 2);
        assert_eq!(given(&store, "blog", true).await, 3, "it is another's");
        assert_eq!(given(&store, "shop", true).await, 4, "it is not ready");
        store.set_ready(2).await.unwrap();
        assert_eq!(given(&store, "shop", false).await, 5, "it wants another");
        assert_eq!(given(&store, "shop", true).await, 2);
        assert_eq!(given(&store, "shop", true).await, 6, "it was given");
        assert_eq!(store.reserved().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_project_keeps_one_number_and_numbers_are_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("ledger.db")).unwrap();
        for _ in 0..2 {
            assert_eq!(store.reserve(project("shop")).await.unwrap(), 1);
            store.set_ready(1).await.unwrap();
        }
        assert_eq!(store.reserve(project("blog")).await.unwrap(), 2);
        let kept = |name, number, ready| Reserved {
            project: project(name),
            number,
            ready,
        };
        let all = [kept("shop", 1, true), kept("blog", 2, false)];
        assert_eq!(store.reserved().await.unwrap(), all);
    }
}
