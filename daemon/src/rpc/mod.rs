//! Converts proto to domain and back. This module decides only how requests are read and answers
//! written; [`enforce`] decides who may ask, the engine decides what happens.

mod audit;
mod convert;
pub mod enforce;
mod jobs;
mod logs;
mod projects;
mod removal;
mod rights;
mod run;
mod server;
mod system;
#[cfg(test)]
mod tests;
mod work;
mod workspaces;

pub use audit::Audit;
pub use server::{Doors, serve};

use crate::cid::Cid;
use crate::{
    authz::{Call, Claim, Permit, Subject},
    config::Project,
    domain::{Creator, Email, Name, ProjectName, Workspace},
    error::Error,
};
use cid_proto::v1::WorkspaceRef;
use cid_protocol::{budget::PAGE, fault::Fault};
use std::sync::Arc;
use uuid::Uuid;

impl Cid {
    /// Reads the project files again. What a project needs is made before the project can be used. Returns
    /// what is wrong with projects; the other projects are not affected.
    ///
    /// # Errors
    /// The folder cannot be read; the projects stay as they were.
    pub(crate) async fn read_projects(&self) -> Result<Vec<String>, Fault> {
        let _turn = self.turns.reading.lock().await;
        let shelf = self.projects.read()?;
        let unusable = shelf.values().filter_map(|entry| entry.as_ref().err());
        let mut problems: Vec<String> = unusable.map(ToString::to_string).collect();
        problems.extend((self.prepare)(self, &shelf).await);
        let taken = self.take_up(shelf).await;
        taken.map_err(|error| Fault::new(error.to_string()))?;
        self.sys.helpers.look_over(&self.projects.usable()).await;
        Ok(problems)
    }

    /// The workspace that a request means.
    ///
    /// # Errors
    /// The address is bad, it has no workspace, or it has several and no project is named.
    async fn resolve(&self, reference: Option<WorkspaceRef>) -> Result<Workspace, Error> {
        let reference = reference.unwrap_or_default();
        let email = email(&reference)?;
        let mut found = self.store.workspaces_of(email.clone()).await?;
        if !reference.project.is_empty() {
            let project = ProjectName::parse(&reference.project);
            if !found.iter().any(|w| Some(&w.project) == project.as_ref()) {
                // If the project does not exist, that is the better answer.
                self.known_project(&reference.project).await?;
            }
            found.retain(|w| Some(&w.project) == project.as_ref());
        }
        match found.len() {
            1 => found
                .pop()
                .ok_or_else(|| Error::not_found("there is no such workspace")),
            0 => Err(Error::NotFound {
                message: format!("{email} has no workspace{}", of_project(&reference.project)),
                hint: Some("cictl list shows them all".into()),
            }),
            _ => {
                let projects: Vec<&str> = found.iter().map(|w| w.project.as_str()).collect();
                Err(Error::Invalid {
                    field: "workspace.project",
                    message: format!(
                        "{email} has workspaces in several projects: {}",
                        projects.join(", ")
                    ),
                    hint: Some("say which one with -p PROJECT".into()),
                })
            }
        }
    }

    /// Asks whether the caller may do it to this workspace.
    async fn bind(&self, claim: Claim, workspace: &Workspace) -> Result<Permit, Error> {
        let Workspace {
            project,
            email,
            name,
            creator,
            ..
        } = workspace;
        claim
            .bind(self.subject(project, email, Some((name, creator)), None))
            .await
    }

    /// The subject of a call.
    fn subject(
        &self,
        project: &ProjectName,
        email: &Email,
        made: Option<(&Name, &Creator)>,
        job: Option<Uuid>,
    ) -> Subject {
        Subject {
            project: project.clone(),
            email: email.clone(),
            workspace: made.map(|(name, _)| name.clone()),
            creator: made.map(|(_, creator)| creator.clone()),
            account: self.projects.account_of(project, email),
            job,
        }
    }

    /// A project that has a file, or had one and still has workspaces.
    async fn known_project(&self, name: &str) -> Result<ProjectName, Error> {
        if let Some(project) = ProjectName::parse(name) {
            let is_here = self.projects.all().contains_key(name);
            if is_here
                || !self
                    .store
                    .workspaces(Some(project.clone()), 0, 1)
                    .await?
                    .is_empty()
            {
                return Ok(project);
            }
        }
        self.projects.get(name).map(|project| project.name.clone())
    }

    /// The project a new workspace is to be of.
    fn project(&self, reference: &WorkspaceRef) -> Result<Arc<Project>, Error> {
        self.projects.named_or_only(&reference.project)
    }
}

fn of_project(project: &str) -> String {
    if project.is_empty() {
        String::new()
    } else {
        format!(" of {project}")
    }
}

fn email(reference: &WorkspaceRef) -> Result<Email, Error> {
    Email::parse(&reference.email).map_err(|error| Error::Invalid {
        field: "workspace.email",
        message: error.to_string(),
        hint: None,
    })
}

/// The claim that [`enforce`] left in a request about a workspace; it can be taken once.
///
/// # Errors
/// There is no claim: the request did not pass the enforcing layer, or its row of the table does not
/// say that it is about a workspace.
fn take_claim<T>(request: &tonic::Request<T>) -> Result<Claim, Error> {
    let slot = request.extensions().get::<enforce::ClaimSlot>();
    slot.and_then(enforce::ClaimSlot::take)
        .ok_or_else(|| Error::Denied {
            message: "the call was not authorised".into(),
            hint: None,
        })
}

/// Records for the audit log which project a request is about.
fn concerns<T>(request: &tonic::Request<T>, project: &ProjectName) {
    if let Some(call) = request.extensions().get::<Arc<Call>>() {
        call.concerns(project);
    }
}

/// The requested page length: 0 means `default`, more than [`PAGE`] is refused.
fn page_size(asked: u32, default: usize) -> Result<usize, Error> {
    if asked == 0 {
        return Ok(default);
    }
    let taken = PAGE.check(asked as usize, format_args!("a page of {asked} entries"));
    taken.map_err(|over| Error::over("page_size", &over))?;
    Ok(asked as usize)
}
