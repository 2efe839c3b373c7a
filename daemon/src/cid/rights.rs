//! People's rights follow the project files, and outlive them: a typo must not lock people out of their
//! own workspaces, nor let a deploy user in.

use crate::{cid::Cid, config::Shelf, store::StoreError};

impl Cid {
    /// Restores the rights that an earlier daemon stored. Runs before any caller is let in.
    ///
    /// # Errors
    /// The ledger fails.
    pub(crate) async fn recall_rights(&self) -> Result<(), StoreError> {
        self.projects.set_rights(self.store.rights().await?);
        self.keep_rights(&self.projects.all()).await
    }

    /// Derives the rights from these files, and stores them for the next start.
    ///
    /// # Errors
    /// The ledger fails; the rights stay as they were.
    pub(crate) async fn keep_rights(&self, shelf: &Shelf) -> Result<(), StoreError> {
        let counts = self.store.workspace_counts().await?;
        let is_used = |project: &_| counts.contains_key(project);
        let rights = self.projects.rights_with(shelf, is_used);
        if rights != self.store.rights().await? {
            self.store.keep_rights(rights.clone()).await?;
        }
        self.projects.set_rights(rights);
        Ok(())
    }

    /// Uses these files from now on.
    ///
    /// # Errors
    /// The ledger fails; the projects stay as they were.
    pub(crate) async fn take_up(&self, shelf: Shelf) -> Result<(), StoreError> {
        self.keep_rights(&shelf).await?;
        self.projects.replace(shelf);
        let counts = self.store.workspace_counts().await?;
        let is_used = |name: &str| counts.keys().any(|project| project.as_str() == name);
        self.projects.forget_unless(is_used);
        Ok(())
    }
}
