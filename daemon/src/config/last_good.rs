//! What project files said last while they could be used, for what must be possible with a bad file too; and what they
//! said last of a stage that they do not name any more, for its way back.

use super::{Project, Shelf};
use crate::domain::Name;
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
    /// The project as it last named this stage, by project and stage.
    lost: ArcSwap<BTreeMap<(String, Name), Arc<Project>>>,
}

/// What the copy for a lost stage ends in: `PROJECT.STAGE.lost`.
const LOST: &str = ".lost";

impl LastGood {
    /// Reads the copies that an earlier daemon made, of files that are or were in `projects_dir`.
    pub(super) fn read(dir: PathBuf, projects_dir: &Path) -> Self {
        let (mut all, mut lost) = (BTreeMap::new(), BTreeMap::new());
        for name in fs::names(&dir).unwrap_or_default() {
            let copy = dir.join(&name);
            let stage = name.strip_suffix(LOST).and_then(|stem| {
                let (project, stage) = stem.split_once('.')?;
                Some((project, Name::of_stage(stage)?))
            });
            let file = match &stage {
                Some((project, _)) => format!("{project}.toml"),
                None => name.clone(),
            };
            match Project::read_copy(&copy, &projects_dir.join(file)) {
                Ok(project) => {
                    let name = project.name.to_string();
                    match stage {
                        Some((_, stage)) => lost.insert((name, stage), Arc::new(project)),
                        None => all.insert(name, Arc::new(project)),
                    };
                }
                // Another version's, whose rules were others.
                Err(error) => tracing::warn!("a copy of a project file is not used: {error}"),
            }
        }
        Self {
            dir,
            all: ArcSwap::from_pointee(all),
            lost: ArcSwap::from_pointee(lost),
        }
    }

    /// The project with this stage as its file last named it, where it does not name it any more.
    pub(super) fn with_stage(&self, project: Arc<Project>, stage: &Name) -> Arc<Project> {
        if project.stage(stage).is_some() {
            return project;
        }
        let lost = self.lost.load();
        let last = lost.get(&(project.name.to_string(), stage.clone()));
        match last.and_then(|last| last.stages.get_key_value(stage)) {
            None => project,
            Some((name, table)) => {
                let mut with = (*project).clone();
                with.stages.insert(name.clone(), table.clone());
                Arc::new(with)
            }
        }
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
        let mut lost = (**self.lost.load()).clone();
        for project in shelf.values().flatten() {
            let before = all.insert(project.name.to_string(), Arc::clone(project));
            if let Some(before) = &before {
                self.keep_lost(before, project, &mut lost);
            }
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
        self.lost.store(Arc::new(lost));
    }

    /// Stages that `before` names and `now` does not, and those that are named again.
    fn keep_lost(
        &self,
        before: &Arc<Project>,
        now: &Project,
        lost: &mut BTreeMap<(String, Name), Arc<Project>>,
    ) {
        let key = |stage: &Name| (now.name.to_string(), stage.clone());
        let mut written = Ok(());
        for stage in before
            .stages
            .keys()
            .filter(|stage| now.stage(stage).is_none())
        {
            lost.insert(key(stage), Arc::clone(before));
            written = written.and(self.copy_lost(before, stage));
        }
        for stage in now.stages.keys() {
            if lost.remove(&key(stage)).is_some() {
                written = written.and(fs::remove_file(&self.lost_of(now, stage)).map(drop));
            }
        }
        if let Err(fault) = written {
            let project = now.name.as_str();
            tracing::warn!(
                PROJECT = project,
                "copies for lost stages are not right: {fault}"
            );
        }
    }

    /// Keeps the copy of the file before it is written over.
    fn copy_lost(&self, before: &Project, stage: &Name) -> Result<(), Fault> {
        let text = fs::read_optional(&self.copy_of(before.name.as_str()))?;
        match text.filter(|text| before.is_of(text)) {
            Some(text) => fs::write_atomic(&self.lost_of(before, stage), text.as_bytes(), 0o600),
            None => Ok(()),
        }
    }

    fn lost_of(&self, project: &Project, stage: &Name) -> PathBuf {
        self.dir.join(format!("{}.{stage}{LOST}", project.name))
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
        let mut lost = (**self.lost.load()).clone();
        lost.retain(|(project, _), _| project != name);
        self.lost.store(Arc::new(lost));
        let is_lost = |file: &String| file.ends_with(LOST) && file.split('.').next() == Some(name);
        let files = fs::names(&self.dir).unwrap_or_default();
        let copies = files.iter().filter(|file| is_lost(file));
        let copies = copies.map(|file| self.dir.join(file));
        for copy in copies.chain([self.copy_of(name)]) {
            if let Err(fault) = fs::remove_file(&copy) {
                tracing::warn!("a copy of a project file stays: {fault}");
            }
        }
    }
}
