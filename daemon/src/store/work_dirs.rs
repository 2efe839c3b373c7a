//! Where projects' workspaces live or lived. Needed to remove a project whose file is gone or names another
//! folder.

use super::{Store, StoreError, rows::parse};
use crate::domain::ProjectName;
use rusqlite::params;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// A folder in which a project's workspaces live, or did once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkDir {
    /// Where.
    pub path: PathBuf,
    /// cid made it; otherwise it was there before.
    pub made: bool,
}

impl Store {
    /// Records such a folder before it is made; a folder recorded already stays unchanged.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn note_work_dir(
        &self,
        project: ProjectName,
        path: &Path,
        made: bool,
    ) -> Result<(), StoreError> {
        let path = path.to_string_lossy().into_owned();
        self.write(move |t| {
            let sql = "INSERT INTO work_dirs (project, path, made) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            t.execute(sql, params![project.as_str(), path, made])?;
            Ok(())
        })
        .await
    }

    /// The folders of a project.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn work_dirs(&self, project: ProjectName) -> Result<Vec<WorkDir>, StoreError> {
        self.read(move |c| {
            let sql = "SELECT path, made FROM work_dirs WHERE project = ?1 ORDER BY path";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([project.as_str()])?;
            let mut dirs = Vec::new();
            while let Some(row) = rows.next()? {
                dirs.push(WorkDir {
                    path: row.get::<_, String>(0)?.into(),
                    made: row.get(1)?,
                });
            }
            Ok(dirs)
        })
        .await
    }

    /// The projects that have such folders.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn projects_with_work_dirs(&self) -> Result<BTreeSet<ProjectName>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT DISTINCT project FROM work_dirs")?;
            let mut rows = statement.query([])?;
            let mut projects = BTreeSet::new();
            while let Some(row) = rows.next()? {
                projects.insert(parse(row.get(0)?)?);
            }
            Ok(projects)
        })
        .await
    }

    /// Deletes what is stored about a removed project; its jobs stay as history.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn forget_project(&self, project: ProjectName) -> Result<(), StoreError> {
        self.write(move |t| {
            // The numbers of its builds stay: none is given twice.
            for table in [
                "work_dirs",
                "builds",
                "remote_branches",
                "remotes",
                "news",
                "notices",
                "notice_troubles",
                "deliveries",
                "tried",
            ] {
                let sql = format!("DELETE FROM {table} WHERE project = ?1");
                t.execute(&sql, [project.as_str()])?;
            }
            Ok(())
        })
        .await
    }
}
