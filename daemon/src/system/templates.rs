//! Templates that somebody would have used: they are made when there is time.

use crate::domain::ProjectName;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// A template that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTemplate {
    /// Of this commit, which the base branch was at.
    pub commit: String,
    /// The one that there is does not fit any more.
    pub again: bool,
}

/// What is wanted, the newest of each project.
#[derive(Debug, Default)]
pub struct Templates {
    wanted: Mutex<BTreeMap<ProjectName, WantedTemplate>>,
    told: Notify,
}

impl Templates {
    /// Wants a template.
    pub fn want(&self, project: &ProjectName, wanted: WantedTemplate) {
        self.lock().insert(project.clone(), wanted);
        self.told.notify_one();
    }

    /// Waits until something is wanted, and takes it.
    pub async fn next(&self) -> (ProjectName, WantedTemplate) {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.told.notified().await;
        }
    }

    fn take(&self) -> Option<(ProjectName, WantedTemplate)> {
        self.lock().pop_first()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProjectName, WantedTemplate>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
