//! All projects, as last read; one bad file stops that project, not the others.

use super::{ConfigError, Project};
use crate::{
    domain::ProjectName,
    error::Error,
    system::{Fault, fs},
};
use arc_swap::ArcSwap;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// Every project file by its stem: the project, or why it cannot be used.
pub type Shelf = BTreeMap<String, Result<Arc<Project>, ConfigError>>;

/// The projects; read again on SIGHUP.
pub struct Projects {
    dir: PathBuf,
    shelf: ArcSwap<Shelf>,
}

impl Projects {
    /// Reads all `*.toml` of a folder.
    ///
    /// # Errors
    /// The folder cannot be read; a bad file is kept as that project's error.
    pub fn load(dir: PathBuf) -> Result<Self, Fault> {
        let projects = Self {
            dir,
            shelf: ArcSwap::default(),
        };
        projects.reload()?;
        Ok(projects)
    }

    /// Reads the folder again and uses what it says now.
    ///
    /// # Errors
    /// As [`Projects::load`]; what was there before stays.
    pub fn reload(&self) -> Result<(), Fault> {
        self.replace(self.read()?);
        Ok(())
    }

    /// Uses these from now on.
    pub fn replace(&self, shelf: Shelf) {
        self.shelf.store(Arc::new(shelf));
    }

    /// Reads the folder again and changes nothing yet.
    ///
    /// # Errors
    /// As [`Projects::load`].
    pub fn read(&self) -> Result<Shelf, Fault> {
        let mut shelf = Shelf::new();
        for name in fs::names(&self.dir)? {
            let Some(stem) = name
                .strip_suffix(".toml")
                .filter(|stem| !stem.starts_with('.'))
            else {
                continue;
            };
            shelf.insert(
                stem.to_owned(),
                Project::load(&self.dir.join(&name)).map(Arc::new),
            );
        }
        refuse_shared_domains(&mut shelf, &self.all());
        for error in shelf.values().filter_map(|entry| entry.as_ref().err()) {
            tracing::error!("project not usable: {error}");
        }
        Ok(shelf)
    }

    /// All of them.
    pub fn all(&self) -> Arc<Shelf> {
        self.shelf.load_full()
    }

    /// A usable one.
    ///
    /// # Errors
    /// There is none of that name, or its file is bad.
    pub fn get(&self, name: &str) -> Result<Arc<Project>, Error> {
        match self.all().get(name) {
            Some(Ok(project)) => Ok(Arc::clone(project)),
            Some(Err(error)) => Err(Error::Precondition {
                message: format!("the project {name} cannot be used: {error}"),
                hint: Some(format!(
                    "mend the file and check it: cictl project check {name}"
                )),
            }),
            None => Err(Error::NotFound {
                message: format!("there is no project {name:?}"),
                hint: Some(self.known()),
            }),
        }
    }

    /// The one that is meant when none is named.
    ///
    /// # Errors
    /// There is none, or there are several (the message names them).
    pub fn only(&self) -> Result<Arc<Project>, Error> {
        let shelf = self.all();
        let mut names = shelf.keys();
        match (names.next(), names.next()) {
            (Some(name), None) => self.get(name),
            (None, _) => Err(Error::NotFound {
                message: "there is no project yet".into(),
                hint: Some(self.known()),
            }),
            (Some(_), Some(_)) => Err(Error::Invalid {
                field: "workspace.project",
                message: format!("there are several projects: {}", list(shelf.keys())),
                hint: Some("say which one with -p PROJECT".into()),
            }),
        }
    }

    /// One that may be named or may be left out.
    ///
    /// # Errors
    /// As [`Projects::get`] and [`Projects::only`].
    pub fn named_or_only(&self, name: &str) -> Result<Arc<Project>, Error> {
        if name.is_empty() {
            self.only()
        } else {
            self.get(name)
        }
    }

    fn known(&self) -> String {
        let shelf = self.all();
        if shelf.is_empty() {
            format!(
                "write a project file {}/NAME.toml (a start: cictl project init NAME --url URL --domain DOMAIN), then: systemctl reload cid (in a sandbox: cictl project check NAME)",
                self.dir.display()
            )
        } else {
            format!("projects here: {}", list(shelf.keys()))
        }
    }
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Host names would clash: whoever had a domain before keeps it, then the older file.
fn refuse_shared_domains(shelf: &mut Shelf, last: &Shelf) {
    let mut projects: Vec<Arc<Project>> = shelf.values().flatten().cloned().collect();
    let had_it = |project: &Project| {
        let before = last
            .get(project.name.as_str())
            .and_then(|entry| entry.as_ref().ok());
        before.is_some_and(|before| *before.domain == *project.domain)
    };
    let age = |project: &Project| {
        std::fs::metadata(&project.file)
            .and_then(|meta| meta.modified())
            .ok()
    };
    projects.sort_by_key(|project| (!had_it(project), age(project)));
    let mut owners: BTreeMap<String, ProjectName> = BTreeMap::new();
    for project in projects {
        let domain = project.domain.to_string();
        if let Some(owner) = owners.get(&domain) {
            let message = format!("domain: {domain} is the domain of the project {owner} already");
            let error = ConfigError::Parse(project.file.clone(), message);
            shelf.insert(project.name.to_string(), Err(error));
        } else {
            owners.insert(domain, project.name.clone());
        }
    }
}

impl Projects {
    /// Where a project's workspaces live: its `work_dir`, or below `default`.
    pub fn work_dir(project: &Project, default: &std::path::Path) -> PathBuf {
        let default = || default.join(project.name.as_str());
        project
            .work_dir
            .as_ref()
            .map_or_else(default, |dir| dir.to_path_buf())
    }
}
