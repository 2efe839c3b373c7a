//! What cid last saw of projects' remotes.

use super::{
    Store, StoreError,
    rows::{parse, time},
};
use crate::domain::ProjectName;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A branch that cid follows, as it last saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its commit; `None`: the remote has no such branch any more.
    pub commit: Option<String>,
    /// When that was seen first.
    pub at: Timestamp,
}

/// A remote that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Whose.
    pub project: ProjectName,
    /// Since when.
    pub since: Timestamp,
    /// What was said last.
    pub reason: String,
}

/// For people: since when, and why.
impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.strftime("%F %T UTC");
        write!(f, "has not answered since {since}: {}", self.reason)
    }
}

fn silent_since(c: &Connection, project: &str) -> Result<Option<Option<String>>, rusqlite::Error> {
    let sql = "SELECT failing_since FROM remotes WHERE project = ?1";
    c.query_row(sql, [project], |row| row.get(0)).optional()
}

impl Store {
    /// The branches of a project that cid follows.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn followed(
        &self,
        project: ProjectName,
    ) -> Result<BTreeMap<String, Followed>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT branch, commit_id, at FROM remote_branches WHERE project = ?1";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([project.as_str()])?;
            let mut found = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let (commit, at) = (row.get(1)?, parse(row.get(2)?)?);
                found.insert(row.get(0)?, Followed { commit, at });
            }
            Ok(found)
        })
        .await
    }

    /// Records where branches are now (`None`: nowhere), forgets those that are not in `wanted`, and that the remote
    /// has answered. True: it had not answered before.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn follow(
        &self,
        project: ProjectName,
        seen: Vec<(String, Option<String>)>,
        wanted: BTreeSet<String>,
    ) -> Result<bool, StoreError> {
        self.write(move |t| {
            let (project, now) = (project.as_str(), time(Timestamp::now()));
            let mut put = t.prepare_cached(
                "INSERT INTO remote_branches (project, branch, commit_id, at) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (project, branch) DO UPDATE SET commit_id = excluded.commit_id, at = excluded.at \
                 WHERE commit_id IS NOT excluded.commit_id",
            )?;
            for (branch, commit) in seen {
                put.execute(params![project, branch, commit, now])?;
            }
            let mut statement =
                t.prepare_cached("SELECT branch FROM remote_branches WHERE project = ?1")?;
            let known = statement.query_map([project], |row| row.get(0))?;
            let known = known.collect::<Result<Vec<String>, _>>()?;
            for branch in known.iter().filter(|branch| !wanted.contains(*branch)) {
                let sql = "DELETE FROM remote_branches WHERE project = ?1 AND branch = ?2";
                t.execute(sql, params![project, branch])?;
            }
            let was_silent = silent_since(t, project)?.flatten().is_some();
            t.execute(
                "INSERT INTO remotes (project, answered_at, reason) VALUES (?1, ?2, '') \
                 ON CONFLICT (project) DO UPDATE SET answered_at = ?2, failing_since = NULL, reason = ''",
                params![project, now],
            )?;
            Ok(was_silent)
        })
        .await
    }

    /// Forgets that a branch was gone: it was seen again.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn branch_is_back(
        &self,
        project: ProjectName,
        branch: String,
    ) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute(
                "DELETE FROM remote_branches WHERE project = ?1 AND branch = ?2 AND commit_id IS NULL",
                params![project.as_str(), branch],
            )
            .map(drop)
            .map_err(StoreError::from)
        })
        .await
    }

    /// Records that a remote does not answer. True: it did before.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn remote_fails(
        &self,
        project: ProjectName,
        reason: String,
    ) -> Result<bool, StoreError> {
        self.write(move |t| {
            let (project, now) = (project.as_str(), time(Timestamp::now()));
            let is_new = silent_since(t, project)?.flatten().is_none();
            t.execute(
                "INSERT INTO remotes (project, failing_since, reason) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (project) DO UPDATE SET failing_since = coalesce(failing_since, ?2), reason = ?3",
                params![project, now, reason],
            )?;
            Ok(is_new)
        })
        .await
    }

    /// The remotes that did not answer when they were last asked.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn silent_remotes(&self) -> Result<Vec<Silent>, StoreError> {
        self.read(|c| {
            let sql = "SELECT project, failing_since, reason FROM remotes WHERE failing_since IS NOT NULL \
                       ORDER BY project";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(Silent {
                    project: parse(row.get(0)?)?,
                    since: parse(row.get(1)?)?,
                    reason: row.get(2)?,
                });
            }
            Ok(found)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> ProjectName {
        ProjectName::parse("shop").unwrap()
    }

    #[tokio::test]
    async fn a_branch_keeps_the_time_of_its_last_change() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        let wanted: BTreeSet<String> = ["main".to_owned(), "anna".to_owned()].into();
        let see = async |anna: Option<&str>| {
            let seen = vec![
                ("main".to_owned(), Some("1".to_owned())),
                ("anna".to_owned(), anna.map(str::to_owned)),
            ];
            store.follow(project(), seen, wanted.clone()).await.unwrap();
            store.followed(project()).await.unwrap()
        };
        let first = see(Some("2")).await;
        assert_eq!(see(Some("2")).await, first);
        let gone = see(None).await;
        assert_eq!(gone["main"], first["main"]);
        assert_eq!(gone["anna"].commit, None);
        assert!(gone["anna"].at > first["anna"].at);
        assert_eq!(see(None).await, gone);
        let none = store.follow(project(), Vec::new(), BTreeSet::new()).await;
        assert!(!none.unwrap());
        assert!(store.followed(project()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_silent_remote_is_told_once_and_since_its_first_failure() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cid.db")).unwrap();
        let fails = async |why: &str| store.remote_fails(project(), why.to_owned()).await.unwrap();
        assert!(fails("no route").await);
        let since = store.silent_remotes().await.unwrap()[0].since;
        assert!(!fails("refused").await);
        let silent = store.silent_remotes().await.unwrap();
        assert_eq!((silent[0].since, &*silent[0].reason), (since, "refused"));
        let answered = store.follow(project(), Vec::new(), BTreeSet::new()).await;
        assert!(answered.unwrap());
        assert!(store.silent_remotes().await.unwrap().is_empty());
        assert!(fails("no route").await);
        store.forget_project(project()).await.unwrap();
        assert!(store.silent_remotes().await.unwrap().is_empty());
    }
}
