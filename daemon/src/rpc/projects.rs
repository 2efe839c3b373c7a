//! Service `Projects`.

use super::{Api, convert, page_size};
use crate::{
    config::{ConfigError, Project, Projects as Shelf},
    doctor,
    domain::ProjectName,
    error::Error,
    helper::request::Inspect,
    recipe::Recipe,
    step::{gid_of, uid_of},
    system::{
        Fault, credential, fs,
        helpers::{Identity, ask_once},
        tls::Certificates,
    },
};
use cid_proto::v1::{self, projects_server::Projects};
use std::{path::Path, sync::Arc};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Projects for Api {
    async fn list(
        &self,
        request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size, 100)?;
        let shelf = self.projects.all();
        let mut projects = Vec::new();
        let after = shelf
            .iter()
            .filter(|(name, _)| name.as_str() > request.page_token.as_str());
        for (name, entry) in after.take(limit) {
            projects.push(self.message(name, entry.as_ref()).await?);
        }
        let next_page_token = match projects.last() {
            Some(last) if projects.len() == limit => last.name.clone(),
            _ => String::new(),
        };
        Ok(Response::new(v1::ListProjectsResponse {
            projects,
            next_page_token,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetProjectRequest>,
    ) -> Result<Response<v1::GetProjectResponse>, Status> {
        let name = request.into_inner().name;
        let shelf = self.projects.all();
        let Some(entry) = shelf.get(&name) else {
            // Says which projects there are.
            self.projects.get(&name)?;
            return Err(Error::not_found(format!("there is no project {name:?}")).into());
        };
        Ok(Response::new(v1::GetProjectResponse {
            project: Some(self.message(&name, entry.as_ref()).await?),
        }))
    }

    async fn check(
        &self,
        request: Request<v1::CheckProjectRequest>,
    ) -> Result<Response<v1::CheckProjectResponse>, Status> {
        let name = request.into_inner().name;
        // A file mended a moment ago counts.
        self.projects.reload().map_err(Error::from)?;
        doctor::keep_sites(self).await;
        let shelf = self.projects.all();
        if !name.is_empty() && !shelf.contains_key(&name) {
            self.projects.get(&name)?;
        }
        let mut items = Vec::new();
        for (stem, entry) in shelf
            .iter()
            .filter(|(stem, _)| name.is_empty() || **stem == name)
        {
            match entry {
                Err(error) => items.push(item(
                    v1::Severity::Error,
                    stem,
                    "file",
                    error.to_string(),
                    "mend the file",
                )),
                Ok(project) => self.check_project(project, &mut items).await,
            }
        }
        Ok(Response::new(v1::CheckProjectResponse { items }))
    }
}

fn item(
    severity: v1::Severity,
    project: &str,
    subject: &str,
    message: String,
    hint: &str,
) -> v1::CheckItem {
    v1::CheckItem {
        severity: severity.into(),
        subject: format!("{project}: {subject}"),
        message,
        hint: hint.to_owned(),
    }
}

impl Api {
    async fn message(
        &self,
        name: &str,
        entry: Result<&Arc<Project>, &ConfigError>,
    ) -> Result<v1::Project, Error> {
        let of = ProjectName::parse(name);
        let count = match of {
            Some(project) => self
                .store
                .workspaces(Some(project), 0, usize::MAX >> 1)
                .await?
                .len(),
            None => 0,
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(match entry {
            Ok(project) => {
                let certificate = Certificates::read(project).await;
                let unprepared = self.projects.unprepared(&project.name);
                let error = unprepared.or(certificate.err().map(|fault| fault.message));
                v1::Project {
                    error: error.unwrap_or_default(),
                    ..convert::project(project, &self.layout, count)
                }
            }
            Err(error) => v1::Project {
                name: name.to_owned(),
                error: error.to_string(),
                workspaces: count,
                ..v1::Project::default()
            },
        })
    }

    async fn check_project(&self, project: &Project, items: &mut Vec<v1::CheckItem>) {
        let name = project.name.as_str();
        let mut say = |subject: &str, result: Result<String, Fault>| {
            items.push(match result {
                Ok(message) => item(v1::Severity::Ok, name, subject, message, ""),
                Err(fault) => {
                    let hint = fault.hint.clone().unwrap_or_default();
                    item(v1::Severity::Error, name, subject, fault.message, &hint)
                }
            });
        };
        say("file", Ok(format!("{} reads well", project.file.display())));
        match self.check_remote(project).await {
            Ok((message, base)) => {
                say("remote", Ok(message));
                say("app", self.check_app(project, base).await);
            }
            Err(fault) => say("remote", Err(fault)),
        }
        if project.tls.is_some() {
            say("tls", self.check_certificate(project).await);
        }
        say("work_dir", self.check_work_dir(project));
        let is_there = |path: &Path| match path.exists() {
            true => Ok(format!("{} is there", path.display())),
            false => Err(Fault::new(format!("cannot find {}", path.display()))
                .hint("make it, or mend the project file")),
        };
        for (subject, path) in [
            ("git.identity_file", &project.git.identity_file),
            ("git.known_hosts", &project.git.known_hosts),
        ] {
            if let Some(path) = path {
                say(subject, is_there(path));
            }
        }
        if let Some(path) = &project.git.credential_file {
            let shown = path.display();
            say(
                "git.credential_file",
                credential::read(path).map(|_| format!("{shown} is cid's alone")),
            );
        }
        if let Some(env) = &project.app.env {
            say("app.env", is_there(&env.join("bin")));
        }
        match self.sys.accounts {
            Some(_) => {
                for (subject, state) in doctor::shared::look(self, project).await {
                    say(subject, state);
                }
            }
            None => {
                if let Some(media) = &project.media {
                    say("media", is_there(&media.path));
                }
            }
        }
        for link in &project.links {
            say("links", is_there(&link.source));
        }
        for file in project
            .files
            .iter()
            .filter(|file| file.template.is_absolute())
        {
            say("files", is_there(&file.template));
        }
        if let Some(group) = &project.access.group {
            say(
                "access.group",
                gid_of(group).map(|gid| format!("{group} is group {gid}")),
            );
        }
        for account in project.access.people.values() {
            say(
                "access.people",
                uid_of(account).map(|uid| format!("{account} is user {uid}")),
            );
        }
        let worries = doctor::worries::worries(project).await;
        items.extend(worries.into_iter().map(|worry| {
            let (key, message) = (worry.key, worry.message);
            item(v1::Severity::Warning, name, key, message, &worry.mend)
        }));
    }

    /// Makes it where it is missing, and looks whether workspaces can be made there.
    fn check_work_dir(&self, project: &Project) -> Result<String, Fault> {
        let work_dir = Shelf::work_dir(project, &self.layout.work_root);
        let made = fs::make_dir(&work_dir, 0o755);
        let unwritable = match self.sys.accounts {
            Some(_) => doctor::unwritable(&work_dir),
            None => None,
        };
        match unwritable {
            Some(fault) => Err(fault),
            None => made.map(|()| format!("{} is there", work_dir.display())),
        }
    }

    /// Whether the certificate is good, for us and for nginx, which gets it if it is new.
    async fn check_certificate(&self, project: &Project) -> Result<String, Fault> {
        let pair = Certificates::read(project).await?;
        self.sys.certificates.refresh(project).await?;
        let until = pair.map(|pair| pair.not_after().to_string());
        Ok(format!(
            "the certificate is for *.{} and good until {}",
            *project.domain,
            until.unwrap_or_default()
        ))
    }

    /// What the remote said, and the commit of base.
    async fn check_remote(&self, project: &Project) -> Result<(String, String), Fault> {
        let limit = *self.settings.limits.git;
        let fetched = self.engine.fetch(project, &project.git.base, limit).await;
        let base = fetched?.base;
        let (url, branch) = (&*project.git.url, &*project.git.base);
        Ok((format!("{url} answers; {branch} is at {base:.10}"), base))
    }

    /// Whether a workspace at this commit would have something to run.
    async fn check_app(&self, project: &Project, base: String) -> Result<String, Fault> {
        let request = Inspect {
            mirror: self.layout.mirror(&project.name),
            commit: base.clone(),
            base,
            app_dir: project.app.dir().to_owned(),
        };
        let (identity, limit) = (
            Identity::Deploy(project.name.clone()),
            *self.settings.limits.step,
        );
        let cancel = self.stopping.clone();
        let inspection =
            ask_once(self.sys.helpers.as_ref(), identity, limit, cancel, request).await?;
        let recipe = Recipe::new(project, &inspection)?;
        let processes: Vec<&str> = recipe.processes.keys().map(String::as_str).collect();
        Ok(format!("processes: {}", processes.join(", ")))
    }
}
