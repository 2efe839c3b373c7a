//! All projects, as last read; one bad file stops that project, not the others.

use super::{ConfigError, Project, deploy_users, last_good::LastGood, shared_hosts};
use crate::{
    domain::{Email, Name, ProjectName, RightsByProject},
    error::Error,
    layout::Layout,
};
use arc_swap::ArcSwap;
use cid_kernel::fs;
use cid_protocol::fault::Fault;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Every project file by its stem: the project, or why it cannot be used.
pub type Shelf = BTreeMap<String, Result<Arc<Project>, ConfigError>>;

/// The projects; read again on SIGHUP.
pub struct Projects {
    dir: PathBuf,
    /// The parent of the work folders of projects without a `work_dir`.
    work_root: PathBuf,
    shelf: ArcSwap<Shelf>,
    last_good: LastGood,
    /// What is missing that a reload should have made, by project.
    unprepared: ArcSwap<BTreeMap<ProjectName, String>>,
    /// People's rights by the last good file of each project.
    rights: ArcSwap<RightsByProject>,
    /// Those whose file was bad or gone, and is good again, until somebody takes them.
    mended: Mutex<BTreeSet<ProjectName>>,
    /// They were read before.
    is_read: AtomicBool,
    /// Whether an account is a person's who may use cid.
    is_member: fn(&str) -> bool,
}

impl Projects {
    /// Reads all `*.toml` of the projects' folder.
    ///
    /// # Errors
    /// The folder cannot be read; a bad file is kept as that project's error.
    pub fn load(layout: &Layout) -> Result<Self, Fault> {
        Self::load_beside(layout, |_| false)
    }

    /// The same where people use cid by accounts of their own: no deploy user may be one of them.
    ///
    /// # Errors
    /// As [`Projects::load`].
    pub fn load_beside(layout: &Layout, is_member: fn(&str) -> bool) -> Result<Self, Fault> {
        let projects = Self {
            dir: layout.projects_dir(),
            work_root: layout.work_root.clone(),
            shelf: ArcSwap::default(),
            last_good: LastGood::read(layout.last_good_dir(), &layout.projects_dir()),
            unprepared: ArcSwap::default(),
            rights: ArcSwap::default(),
            mended: Mutex::default(),
            is_read: AtomicBool::new(false),
            is_member,
        };
        projects.reload()?;
        Ok(projects)
    }

    /// Reads the folder again and uses what it says now.
    ///
    /// # Errors
    /// As [`Projects::load`]; what was there before stays.
    pub fn reload(&self) -> Result<(), Fault> {
        let shelf = self.read()?;
        self.set_rights(self.rights_with(&shelf, |_| true));
        self.replace(shelf);
        Ok(())
    }

    /// Uses these from now on.
    pub fn replace(&self, shelf: Shelf) {
        let was = self.all();
        let is_read = self.is_read.swap(true, Ordering::Relaxed);
        let is_mended = |project: &&Arc<Project>| match was.get(project.name.as_str()) {
            Some(before) => before.is_err(),
            // It had one. At the first reading nothing is known of any.
            None => is_read && self.last_good.get(project.name.as_str()).is_some(),
        };
        let mended = shelf.values().flatten().filter(is_mended);
        self.mended()
            .extend(mended.map(|project| project.name.clone()));
        self.last_good.keep(&shelf);
        self.shelf.store(Arc::new(shelf));
    }

    /// Takes those whose file was bad or gone and is good again: what was pushed meanwhile is not known.
    pub fn take_mended(&self) -> BTreeSet<ProjectName> {
        std::mem::take(&mut self.mended())
    }

    fn mended(&self) -> MutexGuard<'_, BTreeSet<ProjectName>> {
        self.mended.lock().unwrap_or_else(PoisonError::into_inner)
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
        let last = self.all();
        refuse_shared_domains(&mut shelf, &last);
        shared_hosts::refuse(&mut shelf, &last);
        refuse_nested_work_dirs(&mut shelf, &last, &self.work_root);
        deploy_users::refuse_people(&mut shelf, &self.rights(), self.is_member);
        for error in shelf.values().filter_map(|entry| entry.as_ref().err()) {
            tracing::error!("project not usable: {error}");
        }
        Ok(shelf)
    }

    /// Remembers which projects could not be prepared, and why, until the next reload.
    pub fn set_unprepared(&self, why: BTreeMap<ProjectName, String>) {
        self.unprepared.store(Arc::new(why));
    }

    /// Why a project whose file is good could not be prepared by the last reload.
    pub fn unprepared(&self, project: &ProjectName) -> Option<String> {
        self.unprepared.load().get(project).cloned()
    }

    /// People's rights in each project that has, or had, a good file.
    pub fn rights(&self) -> Arc<RightsByProject> {
        self.rights.load_full()
    }

    /// Uses these rights from now on.
    pub fn set_rights(&self, rights: RightsByProject) {
        self.rights.store(Arc::new(rights));
    }

    /// What rights are with these files: those of a bad file as they were, and those of one that is gone too,
    /// while the project is used.
    pub fn rights_with(
        &self,
        shelf: &Shelf,
        is_used: impl Fn(&ProjectName) -> bool,
    ) -> RightsByProject {
        let stays = |project: &ProjectName| match shelf.get(project.as_str()) {
            Some(entry) => entry.is_err(),
            None => is_used(project),
        };
        let mut rights = (*self.rights()).clone();
        rights.retain(|project, _| stays(project));
        let read = shelf.values().flatten();
        rights.extend(read.map(|project| (project.name.clone(), project.rights())));
        rights
    }

    /// The account that has this address in a project.
    pub fn account_of(&self, project: &ProjectName, email: &Email) -> Option<String> {
        self.rights().get(project)?.people.get(email).cloned()
    }

    /// The project whose deploy user this account is.
    pub fn deploys(&self, account: &str) -> Option<ProjectName> {
        let rights = self.rights();
        let mut all = rights.iter();
        let found = all.find(|(_, rights)| rights.deploy_user.as_deref() == Some(account));
        found.map(|(project, _)| project.clone())
    }

    /// Whether an account is a person's who may use cid.
    pub fn is_member(&self, account: &str) -> bool {
        (self.is_member)(account)
    }

    /// All of them.
    pub fn all(&self) -> Arc<Shelf> {
        self.shelf.load_full()
    }

    /// The file of a project of this name, whether it is there or not.
    pub fn file_of(&self, project: &ProjectName) -> PathBuf {
        self.dir.join(format!("{project}.toml"))
    }

    /// The names of those that can be used.
    pub fn usable(&self) -> BTreeSet<ProjectName> {
        let all = self.all();
        let usable = all.values().flatten();
        usable.map(|project| project.name.clone()).collect()
    }

    /// A usable one.
    ///
    /// # Errors
    /// No project has that name, or its file is bad.
    pub fn get(&self, name: &str) -> Result<Arc<Project>, Error> {
        match self.all().get(name) {
            Some(Ok(project)) => Ok(Arc::clone(project)),
            Some(Err(error)) => Err(Error::Precondition {
                message: format!("the project {name} cannot be used: {error}"),
                hint: Some(format!(
                    "mend the file and check it: cictl project check {name}"
                )),
            }),
            None => Err(self.missing(name)),
        }
    }

    /// A usable one, or what a project whose file is bad or gone said last: for what must not wait until the file is
    /// mended.
    ///
    /// # Errors
    /// As [`Projects::get`], where nothing is known of it.
    pub fn standing(&self, name: &str) -> Result<Arc<Project>, Error> {
        self.get(name)
            .or_else(|error| self.last_good.get(name).ok_or(error))
    }

    /// A project with this stage, by what the file last said of it where it does not name it any more. Without the
    /// stage where nothing is known of it.
    pub fn with_stage(&self, project: Arc<Project>, stage: &Name) -> Arc<Project> {
        self.last_good.with_stage(project, stage)
    }

    /// The same of all projects, by name.
    pub fn all_standing(&self) -> Vec<Arc<Project>> {
        let names = self.names();
        names
            .iter()
            .filter_map(|name| self.standing(name).ok())
            .collect()
    }

    /// Forgets what these said last: those that have neither a file nor anything that `is_used`.
    pub fn forget_unless(&self, is_used: impl Fn(&str) -> bool) {
        let shelf = self.all();
        let names = self.last_good.names().into_iter();
        for name in names.filter(|name| !shelf.contains_key(name) && !is_used(name)) {
            self.last_good.forget(&name);
        }
    }

    fn missing(&self, name: &str) -> Error {
        let had_file = ProjectName::parse(name).filter(|name| self.rights().contains_key(name));
        match had_file {
            Some(project) => Error::Precondition {
                message: format!("the project {name} has no file any more"),
                hint: Some(
                    self.unread(name)
                        .unwrap_or_else(|| format!("restore {}", self.file_of(&project).display())),
                ),
            },
            None => Error::NotFound {
                message: format!("there is no project {name:?}"),
                hint: Some(self.unread(name).unwrap_or_else(|| self.known())),
            },
        }
    }

    /// What to do about a file that has come since the last reading.
    fn unread(&self, name: &str) -> Option<String> {
        let file = self.file_of(&ProjectName::parse(name)?);
        fs::exists(&file).then(|| {
            format!(
                "cid has not read {} yet: cictl project check {name}",
                file.display()
            )
        })
    }

    /// The one that is meant when none is named.
    ///
    /// # Errors
    /// No project, or several; the message names them.
    pub fn only(&self) -> Result<Arc<Project>, Error> {
        self.get(&self.only_name()?)
    }

    fn only_name(&self) -> Result<String, Error> {
        let names = self.names();
        let mut named = names.iter();
        match (named.next(), named.next()) {
            (Some(name), None) => Ok(name.clone()),
            (None, _) => Err(Error::NotFound {
                message: "there is no project yet".into(),
                hint: Some(self.known()),
            }),
            (Some(_), Some(_)) => Err(Error::Invalid {
                field: "workspace.project",
                message: format!("there are several projects: {}", list(names.iter())),
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

    /// The same as [`Projects::standing`].
    ///
    /// # Errors
    /// As of both.
    pub fn standing_named_or_only(&self, name: &str) -> Result<Arc<Project>, Error> {
        match name {
            "" => self.standing(&self.only_name()?),
            name => self.standing(name),
        }
    }

    /// Those that have a file, and those that had one and are used.
    fn names(&self) -> BTreeSet<String> {
        let rights = self.rights();
        let had_file = rights.keys().map(ToString::to_string);
        self.all().keys().cloned().chain(had_file).collect()
    }

    fn known(&self) -> String {
        let names = self.names();
        if names.is_empty() {
            format!(
                "write a project file {}/NAME.toml (a start: cictl project init NAME --url URL --domain DOMAIN), then: systemctl reload cid (in a sandbox: cictl project check NAME)",
                self.dir.display()
            )
        } else {
            format!("projects here: {}", list(names.iter()))
        }
    }
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The usable projects, in the order of their right to something that two of them want: first a project
/// that `had` it before, then the older file.
pub(super) fn by_right(shelf: &Shelf, had: impl Fn(&Project) -> bool) -> Vec<Arc<Project>> {
    let mut projects: Vec<Arc<Project>> = shelf.values().flatten().cloned().collect();
    let age = |project: &Project| {
        std::fs::metadata(&project.file)
            .and_then(|meta| meta.modified())
            .ok()
    };
    projects.sort_by_key(|project| (!had(project), age(project)));
    projects
}

/// The project as it was last read.
pub(super) fn before<'a>(last: &'a Shelf, project: &Project) -> Option<&'a Project> {
    let entry = last.get(project.name.as_str())?;
    entry.as_deref().ok()
}

/// Host names would clash.
fn refuse_shared_domains(shelf: &mut Shelf, last: &Shelf) {
    let had_it = |project: &Project| {
        before(last, project).is_some_and(|before| *before.domain == *project.domain)
    };
    let mut owners: BTreeMap<String, ProjectName> = BTreeMap::new();
    for project in by_right(shelf, had_it) {
        let domain = project.domain.to_string();
        if let Some(owner) = owners.get(&domain) {
            let message = format!("{domain} is the domain of the project {owner} already");
            let error = project.error_at("domain", message);
            shelf.insert(project.name.to_string(), Err(error));
        } else {
            owners.insert(domain, project.name.clone());
        }
    }
}

/// One's workspaces would be among the other's, or their own names be taken for workspaces.
fn refuse_nested_work_dirs(shelf: &mut Shelf, last: &Shelf, work_root: &Path) {
    let place = |project: &Project| fs::resolved(&Projects::work_dir(project, work_root));
    let had_it = |project: &Project| {
        before(last, project).is_some_and(|before| place(before) == place(project))
    };
    let mut owners: Vec<(PathBuf, ProjectName)> = Vec::new();
    for project in by_right(shelf, had_it) {
        let mine = place(&project);
        let in_the_way = owners
            .iter()
            .find(|(other, _)| mine.starts_with(other) || other.starts_with(&mine));
        let Some((theirs, owner)) = in_the_way else {
            owners.push((mine, project.name.clone()));
            continue;
        };
        let how = match (mine.starts_with(theirs), theirs.starts_with(&mine)) {
            (true, true) => "is",
            (true, false) => "lies in",
            _ => "lies around",
        };
        let message = format!(
            "{} {how} {}, the folder of the workspaces of the project {owner}; each project needs one of its own",
            mine.display(),
            theirs.display()
        );
        let error = project.error_at("work_dir", message);
        shelf.insert(project.name.to_string(), Err(error));
    }
}

impl Projects {
    /// Whether a project's file says today what was read.
    pub fn is_as_on_disk(project: &Project) -> bool {
        let text = fs::read_optional(&project.file).ok().flatten();
        text.is_none_or(|text| project.is_of(&text))
    }

    /// Where a project's workspaces live: its `work_dir`, or below `default`.
    pub fn work_dir(project: &Project, default: &Path) -> PathBuf {
        let default = || default.join(project.name.as_str());
        project
            .work_dir
            .as_ref()
            .map_or_else(default, |dir| dir.to_path_buf())
    }
}

#[cfg(test)]
#[path = "projects_tests.rs"]
mod tests;
