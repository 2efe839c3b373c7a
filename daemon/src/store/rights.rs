//! People's rights from the last good file of each project: at the next start the file may be bad or
//! missing.

use super::{Store, StoreError, rows::parse};
use crate::domain::RightsByProject;
use rusqlite::params;

impl Store {
    /// The stored rights.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn rights(&self) -> Result<RightsByProject, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT project, rights FROM rights")?;
            let mut rows = statement.query([])?;
            let mut all = RightsByProject::new();
            while let Some(row) = rows.next()? {
                let rights: String = row.get(1)?;
                all.insert(parse(row.get(0)?)?, serde_json::from_str(&rights)?);
            }
            Ok(all)
        })
        .await
    }

    /// Stores these rights and deletes those of all other projects.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn keep_rights(&self, all: RightsByProject) -> Result<(), StoreError> {
        self.write(move |t| {
            t.execute("DELETE FROM rights", [])?;
            for (project, rights) in &all {
                let sql = "INSERT INTO rights (project, rights) VALUES (?1, ?2)";
                t.execute(
                    sql,
                    params![project.as_str(), serde_json::to_string(rights)?],
                )?;
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Email, ProjectName, Rights};

    #[tokio::test]
    async fn they_are_read_as_they_were_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cid.db");
        let store = Store::open(&path).unwrap();
        assert!(store.rights().await.unwrap().is_empty());
        let rights = Rights {
            people: [(Email::parse("anna@example.com").unwrap(), "anna".to_owned())].into(),
            deploy_user: Some("deploy".into()),
        };
        let mut all = RightsByProject::new();
        for name in ["shop", "blog"] {
            all.insert(ProjectName::parse(name).unwrap(), rights.clone());
        }
        store.keep_rights(all.clone()).await.unwrap();
        assert_eq!(Store::open(&path).unwrap().rights().await.unwrap(), all);
        all.pop_first();
        store.keep_rights(all.clone()).await.unwrap();
        assert_eq!(store.rights().await.unwrap(), all);
    }
}
