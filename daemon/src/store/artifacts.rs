//! The intended content of the files that cid writes for a workspace.

use super::{Store, StoreError};
use rusqlite::{OptionalExtension, params};

/// A configuration file of nginx or supervisord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Artifact {
    /// nginx's.
    Vhost,
    /// supervisord's.
    Program,
}

impl Artifact {
    fn key(self) -> &'static str {
        match self {
            Self::Vhost => "vhost",
            Self::Program => "program",
        }
    }
}

impl Store {
    /// Records the intended content of a workspace's file; it is forgotten with the workspace. `None`: there should
    /// be none.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn set_artifact(
        &self,
        workspace: i64,
        artifact: Artifact,
        content: Option<String>,
    ) -> Result<(), StoreError> {
        self.write(move |t| {
            let Some(content) = content else {
                let sql = "DELETE FROM artifacts WHERE workspace = ?1 AND kind = ?2";
                t.execute(sql, params![workspace, artifact.key()])?;
                return Ok(());
            };
            t.execute(
                "INSERT INTO artifacts (workspace, kind, content) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET content = excluded.content",
                params![workspace, artifact.key(), content],
            )?;
            Ok(())
        })
        .await
    }

    /// The intended content of a workspace's file; `None`: there should be none.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn artifact(
        &self,
        workspace: i64,
        artifact: Artifact,
    ) -> Result<Option<String>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT content FROM artifacts WHERE workspace = ?1 AND kind = ?2";
            let content = c.query_row(sql, params![workspace, artifact.key()], |row| row.get(0));
            Ok(content.optional()?)
        })
        .await
    }
}
