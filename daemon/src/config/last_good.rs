//! What project files said last while they could be used, for what must be possible with a bad file too.

use super::{Project, Shelf};
use arc_swap::ArcSwap;
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The last good state of each project file. Copies in a folder outlive the daemon.
pub(super) struct LastGood {
    dir: PathBuf,
    all: ArcSwap<BTreeMap<String, Arc<Project>>>,
}

impl LastGood {
    /// Reads the copies that an earlier daemon made, of files that are or were in `projects_dir`.
    pub(super) fn read(dir: PathBuf, projects_dir: &Path) -> Self {
        let mut all = BTreeMap::new();
        for name in fs::names(&dir).unwrap_or_default() {
            let copy = dir.join(&name);
            match Project::read_copy(&copy, &projects_dir.join(&name)) {
                Ok(project) => {
                    all.insert(project.name.to_string(), Arc::new(project));
                }
                // Another version's, whose rules were others.
                Err(error) => tracing::warn!("a copy of a project file is not used: {error}"),
            }
        }
        let all = ArcSwap::from_pointee(all);
        Self { dir, all }
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Project>> {
        self.all.load().get(name).cloned()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all.load().keys().cloned().collect()
    }

    /// Takes up the good ones of these.
    pub(super) fn keep(&self, shelf: &Shelf) {
        let mut all = (**self.all.load()).clone();
        for project in shelf.values().flatten() {
            let before = all.insert(project.name.to_string(), Arc::clone(project));
            if before.is_none_or(|before| before.digest != project.digest)
                && let Err(fault) = self.copy(project)
            {
                tracing::warn!(
                    PROJECT = project.name.as_str(),
                    "no copy of its file is kept: {fault}"
                );
            }
        }
        self.all.store(Arc::new(all));
    }

    fn copy(&self, project: &Project) -> Result<(), Fault> {
        let Some(text) = fs::read_optional(&project.file)? else {
            return Ok(());
        };
        // The file may be another one by now.
        if !project.is_of(&text) {
            return Ok(());
        }
        fs::make_dir(&self.dir, 0o700)?;
        fs::write_atomic(&self.copy_of(project.name.as_str()), text.as_bytes(), 0o600)
    }

    fn copy_of(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.toml"))
    }

    /// Forgets a project.
    pub(super) fn forget(&self, name: &str) {
        let mut all = (**self.all.load()).clone();
        all.remove(name);
        self.all.store(Arc::new(all));
        if let Err(fault) = fs::remove_file(&self.copy_of(name)) {
            tracing::warn!("a copy of a project file stays: {fault}");
        }
    }
}
