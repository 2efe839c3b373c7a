//! Service `Projects`.

use super::{concerns, convert, page_size, removal};
use crate::system::unwritable::unwritable;
use crate::{
    cid::Cid,
    config::{ConfigError, Project, Projects as Shelf},
    doctor,
    domain::{Email, Name, ProjectName},
    error::Error,
    recipe::{self, Recipe},
    step::{gid_of, uid_of},
    system::{
        credential,
        helpers::{Identity, ask_once},
        tls::Certificates,
    },
};
use cid_kernel::fs;
use cid_proto::v1::{self, projects_server::Projects};
use cid_protocol::{
    fault::Fault,
    request::{Inspect, Push},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Projects for Cid {
    async fn list(
        &self,
        request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size, 100)?;
        let shelf = self.projects.all();
        let counts = self.workspace_counts().await?;
        let gone = counts.keys().map(ProjectName::as_str);
        let names: BTreeSet<&str> = shelf.keys().map(String::as_str).chain(gone).collect();
        let mut projects = Vec::new();
        let after = names
            .into_iter()
            .filter(|name| *name > request.page_token.as_str());
        for name in after.take(limit) {
            projects.push(self.message(name, shelf.get(name), &counts).await);
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
        self.known_project(&name).await?;
        let counts = self.workspace_counts().await?;
        let project = self.message(&name, shelf.get(&name), &counts).await;
        Ok(Response::new(v1::GetProjectResponse {
            project: Some(project),
        }))
    }

    async fn check(
        &self,
        request: Request<v1::CheckProjectRequest>,
    ) -> Result<Response<v1::CheckProjectResponse>, Status> {
        let name = request.get_ref().name.clone();
        if let Some(project) = ProjectName::parse(&name) {
            concerns(&request, &project);
        }
        // Includes a file that was added or mended a moment ago.
        self.read_projects().await.map_err(Error::from)?;
        doctor::keep_sites(self).await;
        let shelf = self.projects.all();
        if !name.is_empty() {
            self.known_project(&name).await?;
        }
        let mut items = Vec::new();
        let gone = doctor::gone::gone(self).await.map_err(Error::from)?;
        for gone in gone
            .iter()
            .filter(|gone| name.is_empty() || gone.project.as_str() == name)
        {
            let (project, mend) = (gone.project.as_str(), gone.mend(self));
            items.push(item(
                v1::Severity::Error,
                project,
                "file",
                gone.told(),
                &mend,
            ));
        }
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

    async fn remove(
        &self,
        request: Request<v1::RemoveProjectRequest>,
    ) -> Result<Response<v1::RemoveProjectResponse>, Status> {
        let name = &request.get_ref().name;
        let Some(project) = ProjectName::parse(name) else {
            return Err(Error::not_found(format!("there is no project {name:?}")).into());
        };
        concerns(&request, &project);
        let cid = self.clone();
        // It continues if the caller disconnects.
        let removing = tokio::spawn(async move { removal::remove(&cid, &project).await });
        let removed = removing.await.map_err(|error| {
            Error::Fault(Fault::new(format!("cannot go on removing: {error}")))
        })??;
        let file = removed.file.map(|file| file.display().to_string());
        Ok(Response::new(v1::RemoveProjectResponse {
            file: file.unwrap_or_default(),
            removed: removed.removed,
            kept: removed.kept,
        }))
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

impl Cid {
    async fn workspace_counts(&self) -> Result<BTreeMap<ProjectName, u32>, Error> {
        Ok(self.store.workspace_counts().await?)
    }

    /// `None` for a project that has no file, and workspaces.
    async fn message(
        &self,
        name: &str,
        entry: Option<&Result<Arc<Project>, ConfigError>>,
        counts: &BTreeMap<ProjectName, u32>,
    ) -> v1::Project {
        let of = ProjectName::parse(name);
        let count = of.as_ref().and_then(|project| counts.get(project));
        let count = count.copied().unwrap_or_default();
        let error = match (entry, of) {
            (Some(Ok(project)), _) => {
                let certificate = Certificates::read(project).await;
                let unprepared = self.projects.unprepared(&project.name);
                let error = unprepared.or(certificate.err().map(|fault| fault.message));
                return v1::Project {
                    error: error.unwrap_or_default(),
                    ..convert::project(project, &self.layout, count)
                };
            }
            (Some(Err(error)), _) => error.to_string(),
            (None, Some(project)) => {
                let workspaces = count;
                let gone = doctor::gone::Gone {
                    project,
                    workspaces,
                };
                format!("{}: {}", gone.told(), gone.mend(self))
            }
            (None, None) => "it has no file".to_owned(),
        };
        v1::Project {
            name: name.to_owned(),
            error,
            workspaces: count,
            ..v1::Project::default()
        }
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
        if let Some(why) = self.projects.unprepared(&project.name) {
            say("prepared", Err(Fault::new(why)));
        }
        let mut notes = Vec::new();
        match self.check_remote(project).await {
            Ok((message, base)) => {
                say("remote", Ok(message));
                match self.check_app(project, base).await {
                    Ok((message, found)) => {
                        say("app", Ok(message));
                        notes = found;
                    }
                    Err(fault) => say("app", Err(fault)),
                }
            }
            Err(fault) => say("remote", Err(fault)),
        }
        if project.tls.is_some() {
            say("tls", self.check_certificate(project).await);
        }
        let noted = self.note_work_dir(project).await;
        say(
            "work_dir",
            noted.and_then(|()| self.check_work_dir(project)),
        );
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
        for note in notes {
            items.push(item(v1::Severity::Warning, name, "app", note, ""));
        }
        let worries = doctor::worries::worries(project).await;
        items.extend(worries.into_iter().map(|worry| {
            let (key, message) = (worry.key, worry.message);
            item(v1::Severity::Warning, name, key, message, &worry.mend)
        }));
    }

    /// Records where a project's workspaces live, before cid makes the folder.
    ///
    /// # Errors
    /// The ledger fails.
    pub(crate) async fn note_work_dir(&self, project: &Project) -> Result<(), Fault> {
        let work_dir = Shelf::work_dir(project, &self.layout.work_root);
        let noted = self
            .store
            .note_work_dir(project.name.clone(), &work_dir, !fs::exists(&work_dir))
            .await;
        noted.map_err(|error| Fault::new(error.to_string()))
    }

    /// Makes it if it is missing, and checks that workspaces can be made in it.
    fn check_work_dir(&self, project: &Project) -> Result<String, Fault> {
        let work_dir = Shelf::work_dir(project, &self.layout.work_root);
        let made = fs::make_dir(&work_dir, 0o755);
        let unwritable = match self.sys.accounts {
            Some(_) => unwritable(&work_dir),
            None => None,
        };
        match unwritable {
            Some(fault) => Err(fault),
            None => made.map(|()| format!("{} is there", work_dir.display())),
        }
    }

    /// Checks the certificate, for us and for nginx. nginx gets it if it is new.
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

    /// What the remote said, and the commit of base. Pushing a workspace's branch is tried too, without
    /// creating it.
    async fn check_remote(&self, project: &Project) -> Result<(String, String), Fault> {
        let limit = *self.settings.limits.git;
        let branch = sample_branch(project);
        let fetched = self.engine.fetch(project, &branch, limit).await?;
        let base = fetched.base;
        let push = Push {
            mirror: self.layout.mirror(&project.name),
            remote: project.remote(),
            branch,
            commit: base.clone(),
            expected: fetched.branch,
            dry_run: true,
        };
        let identity = Identity::Deploy(project.name.clone());
        let cancel = self.stopping.clone();
        ask_once(self.sys.helpers.as_ref(), identity, limit, cancel, push).await?;
        let (url, branch) = (&*project.git.url, &*project.git.base);
        let message = format!("{url} answers; {branch} is at {base:.10}; {PUSH_TRIED}");
        Ok((message, base))
    }

    /// Checks that a workspace at this commit would have something to run, and reports anything unexpected
    /// about it.
    async fn check_app(
        &self,
        project: &Project,
        base: String,
    ) -> Result<(String, Vec<String>), Fault> {
        let request = Inspect {
            mirror: self.layout.mirror(&project.name),
            commit: base.clone(),
            base,
            app_dir: project.app.dir().to_owned(),
            given: recipe::given(project),
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
        let message = format!("processes: {}", processes.join(", "));
        Ok((message, inspection.notes))
    }
}

/// A push that is only tried ends before the server looks at what it would store.
const PUSH_TRIED: &str =
    "it lets a push begin (hooks, protected branches and its disk were not tried)";

/// The name that a workspace's branch would have.
fn sample_branch(project: &Project) -> String {
    let name = Email::parse("project-check@example.org")
        .ok()
        .and_then(|email| Name::candidates(&email).next());
    name.map_or_else(
        || project.git.base.to_string(),
        |name| project.branch_for(&name),
    )
}
