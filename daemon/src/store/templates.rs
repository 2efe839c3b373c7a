//! Templates, which are rows among the builds.

use super::{Store, StoreError, builds::query};
use crate::domain::{Build, ProjectName};
use rusqlite::params;

impl Store {
    /// The newest template of a commit by this project file.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn template(
        &self,
        project: ProjectName,
        commit: String,
        digest: String,
    ) -> Result<Option<Build>, StoreError> {
        self.read(move |c| {
            let rest = "WHERE project = ?1 AND kind = 'template' AND commit_id = ?2 AND recipe = ?3 \
                        ORDER BY number DESC LIMIT 1";
            Ok(query(c, rest, params![project.as_str(), commit, digest])?.pop())
        })
        .await
    }

    /// Templates of a project, the newest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn templates(&self, project: ProjectName) -> Result<Vec<Build>, StoreError> {
        self.read(move |c| {
            let rest = "WHERE project = ?1 AND kind = 'template' ORDER BY number DESC";
            query(c, rest, [project.as_str()])
        })
        .await
    }

    /// Forgets a template that no job makes; `false`: one does.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn forget_template(&self, id: i64) -> Result<bool, StoreError> {
        self.write(move |t| {
            let sql = "DELETE FROM builds WHERE id = ?1 AND kind = 'template' AND NOT EXISTS (SELECT 1 FROM jobs \
                       WHERE build = ?1 AND state NOT IN ('done', 'undone', 'cancelled'))";
            Ok(t.execute(sql, [id])? > 0)
        })
        .await
    }
}
