//! Which unit each identity's work is done in: as whom, and what it may write.

use crate::{
    config::{GitUrl, Project, Projects, Settings},
    domain::{Account, ProjectName, UnitName, builder, project_group},
    layout::Layout,
    plan::trash_dir,
    step::HOME,
    system::{
        Fault,
        helpers::Identity,
        units::{Profile, Unit},
    },
};
use std::{path::PathBuf, sync::Arc};

/// Knows who everybody is.
pub(super) struct Identities {
    pub(super) layout: Arc<Layout>,
    pub(super) settings: Arc<Settings>,
    pub(super) projects: Arc<Projects>,
}

impl Identities {
    /// The unit for an identity's work.
    ///
    /// # Errors
    /// The project's file does not say who that is.
    pub(super) fn unit(&self, identity: &Identity) -> Result<Unit, Fault> {
        match identity {
            Identity::Deploy(project) => self.deploy(project),
            Identity::Workspace(unit, number) => self.workspace(unit, *number),
            Identity::Build(project) => Ok(self.build(project)),
            Identity::Purge => Ok(self.purge()),
        }
    }

    fn deploy(&self, name: &ProjectName) -> Result<Unit, Fault> {
        let project = self.project(name)?;
        let user = deploy_user(&project)?;
        let unit = Unit::new(Profile::Deploy)
            .with("User", user)
            // What it makes is the whole project's to read.
            .with("Group", project_group(name))
            .writable(&self.layout.mirror_dir(name));
        // A repository on this machine is pushed to by writing it.
        Ok(match local_repository(&project.git.url) {
            Some(path) => unit.writable(&path),
            None => unit,
        })
    }

    fn workspace(&self, unit: &UnitName, number: i64) -> Result<Unit, Fault> {
        let account = Account::of(number, &self.settings.workspace_uids.0).ok_or_else(|| {
            Fault::new("cannot make another workspace: its account would be out of workspace_uids")
                .hint("widen workspace_uids in cid.toml")
        })?;
        let name = unit.project();
        let project = self.project(&name).ok();
        let work_dir = self.work_dir(&name, project.as_deref());
        let directory = work_dir.join(unit.name());
        let mut made = Unit::new(Profile::Workspace)
            .with("User", account.name.clone())
            .with("Group", account.name)
            .with("SupplementaryGroups", project_group(&name))
            // Its own folder is made while this unit starts. The others in there are other users'.
            .writable(&work_dir)
            .env("HOME", &self.layout.helper_home());
        for (variable, cache) in [("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")] {
            made = made.env(variable, &directory.join(HOME).join(".cache").join(cache));
        }
        for path in project.iter().flat_map(|project| project.shared_folders()) {
            made = made.writable(&path);
        }
        Ok(made)
    }

    fn build(&self, name: &ProjectName) -> Unit {
        Unit::new(Profile::Build)
            .with("User", builder(name))
            .with("Group", project_group(name))
            .writable(&self.layout.environments(name))
            .writable(&self.layout.tools_dir(name))
            .writable(&self.layout.builder_home(name))
            .env("HOME", &self.layout.builder_home(name))
    }

    /// What it removes is in the trash by then.
    fn purge(&self) -> Unit {
        let mut unit = Unit::new(Profile::Purge)
            .writable(&self.layout.trash_dir())
            .writable(&self.layout.log_trash_dir());
        for project in self.projects.all().values().flatten() {
            let work_dir = self.work_dir(&project.name, Some(project));
            unit = unit.writable(&trash_dir(&work_dir.join("any")));
        }
        unit
    }

    fn project(&self, name: &ProjectName) -> Result<Arc<Project>, Fault> {
        let project = self.projects.get(name.as_str());
        project.map_err(|error| Fault::new(error.to_string()))
    }

    fn work_dir(&self, name: &ProjectName, project: Option<&Project>) -> PathBuf {
        match project {
            Some(project) => Projects::work_dir(project, &self.layout.work_root),
            None => self.layout.work_root.join(name.as_str()),
        }
    }
}

/// Who does a project's network work.
pub(super) fn deploy_user(project: &Project) -> Result<String, Fault> {
    project.deploy_user.clone().ok_or_else(|| {
        Fault::new(format!(
            "cannot reach the repository of {}: its project file names no deploy_user",
            project.name
        ))
        .hint("set deploy_user to the account whose keys git is to use")
    })
}

fn local_repository(url: &GitUrl) -> Option<PathBuf> {
    let text = url.to_string();
    let path = PathBuf::from(text.strip_prefix("file://").unwrap_or(&text));
    path.is_absolute().then_some(path)
}
